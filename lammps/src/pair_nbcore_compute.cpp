// Every step. All ranks do the same things in the same order, ranks without atoms too; what goes wrong on one of them is
// kept until all have agreed on it, so that nobody waits for a rank that has stopped.
#include "pair_nbcore.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;

void PairNBCore::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  if (neighbor->ago == 0 || stale_) take_atoms();
  atoms_.move(atom->x);
  const int n_all = atoms_.n_all();

  nbcore_result result = NBCORE_RESULT;
  double energy = 0, virial[3][3] = {};
  forces_.assign(3 * n_all, 0.0);
  result.energy = &energy, result.forces = forces_.data(), result.virial = &virial[0][0];
  if (eflag_atom) energies_.assign(atoms_.n(), 0.0), result.energies = energies_.data();
  if (vflag_atom || cvflag_atom) virials_.assign(9 * n_all, 0.0), result.virials = virials_.data();
  if (grade_.due()) grades_.assign(atoms_.n(), 0.0), result.grades = grades_.data();
  evaluate(result);

  const double unit = energy_unit_;
  if (eflag_global) eng_vdwl += unit * energy;
  if (vflag_global) {
    constexpr int order[6][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
    for (int k = 0; k < 6; ++k) {
      const auto [a, b] = std::pair(order[k][0], order[k][1]);
      this->virial[k] += unit * 0.5 * (virial[a][b] + virial[b][a]);
    }
  }
  for (int k = 0; k < n_all; ++k)  // in a hybrid others have added theirs
    for (int c = 0; c < 3; ++c) atom->f[atoms_.atom(k)][c] += unit * forces_[3 * k + c];
  for (int k = 0; k < atoms_.n() && eflag_atom; ++k) eatom[atoms_.atom(k)] += unit * energies_[k];
  for (int k = 0; k < n_all && (vflag_atom || cvflag_atom); ++k) {
    const double* w = &virials_[9 * k];
    const int i = atoms_.atom(k);
    constexpr int full[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};  // xx yy zz xy xz yz yx zx zy
    for (int c = 0; c < 9 && cvflag_atom; ++c) cvatom[i][c] += unit * w[full[c]];
    for (int c = 0; c < 6 && vflag_atom; ++c)
      vatom[i][c] += unit * (c < 3 ? w[full[c]] : 0.5 * (w[full[c]] + w[full[c + 3]]));
  }
  closeness_.fresh = closeness_.due(), grade_.fresh = grade_.due();
  if (closeness_.fresh) take_closeness();
  if (grade_.fresh) take_grades();
}

void PairNBCore::take_closeness() {
  closeness_.values.resize(atom->nmax);
  atoms_.closeness(trained_, closeness_.values);
}

void PairNBCore::take_grades() {
  grade_.values.assign(atom->nmax, 0.0);
  for (int k = 0; k < atoms_.n(); ++k) grade_.values[atoms_.atom(k)] = grades_[k];
}

/// Of two `fix pair`, one may look in steps in which the other, by its flag, does not: then values are made when they are
/// asked for, and from then on in every step.
void PairNBCore::refresh(PerAtom& what) {
  if (what.fresh || update->whichflag == 0) return;  // between runs nobody looks at values
  what.fresh = true, what.triggered = false;
  if (&what == &closeness_) return take_closeness();
  nbcore_result result = NBCORE_RESULT;
  grades_.assign(atoms_.n(), 0.0), result.grades = grades_.data();
  evaluate(result);
  take_grades();
}

void PairNBCore::take_atoms() {
  const int n_all = atom->nlocal + atom->nghost;
  atoms_.take(*list, atom->type, numbers_, atom->nlocal, n_all, way_ == Way::ghosts && info_.levels > 1);
  if (way_ == Way::alone) {
    owner_.resize(n_all);
    for (int i = 0; i < atom->nlocal; ++i) owner_[i] = i;
    sending_owners_ = true, row_ = 1;
#ifdef NBCORE_LAMMPS_2021
    comm->forward_comm_pair(this);
#else
    comm->forward_comm(this);
#endif
    sending_owners_ = false;
    atoms_.set_owners(owner_);
  }
  stale_ = false;
}

/// Runs a call unless something is wrong already; the first failure is kept.
template <class F> void PairNBCore::attempt(F call) {
  if (!wrong_.empty()) return;
  if (const nbcore_status status = call(); status != NBCORE_OK) wrong_ = reason(status);
}

void PairNBCore::evaluate(const nbcore_result& result) {
  const nbcore_system system = atoms_.system();
  wrong_.clear();
  if (way_ == Way::exchange) evaluate_by_exchange(system, result);
  else if (system.n > 0) attempt([&] { return nbcore_compute(model_, &system, &options_, &result); });
  agree(wrong_);
}

void PairNBCore::evaluate_by_exchange(const nbcore_system& system, const nbcore_result& result) {
  const auto row = [&](int level) {
    std::size_t bytes = 0;
    attempt([&] { return nbcore_levels_row_bytes(levels_, level, &bytes); });
    level_ = level, row_ = bytes / sizeof(double);
  };
  attempt([&] { return nbcore_levels_begin(levels_, &system, &result); });
  agree(wrong_);
  for (int level = 1; level < info_.levels; ++level) {
    attempt([&] { return nbcore_levels_forward(levels_, level); });
    row(level);
#ifdef NBCORE_LAMMPS_2021
    comm->forward_comm_pair(this);
#else
    comm->forward_comm(this);
#endif
  }
  for (int level = info_.levels; level >= 1; --level) {
    attempt([&] { return nbcore_levels_adjoint(levels_, level); });
    if (level == 1) break;
    row(level - 1);
#ifdef NBCORE_LAMMPS_2021
    comm->reverse_comm_pair(this);
#else
    comm->reverse_comm(this);
#endif
  }
  attempt([&] { return nbcore_levels_finish(levels_); });
}

// ---- communication: rows of the atoms that are elements of the model, one after the other. Where something is wrong
// they hold zeros, and have the same length. ----

std::vector<int> PairNBCore::places(int n, const int* atoms) const {
  std::vector<int> found;
  found.reserve(n);
  for (int k = 0; k < n; ++k)
    if (const int place = atoms_.place(atoms[k]); place >= 0) found.push_back(place);
  return found;
}

namespace {
std::vector<int> range(int n, int first) {
  std::vector<int> atoms(n);
  for (int k = 0; k < n; ++k) atoms[k] = first + k;
  return atoms;
}
}  // namespace

int PairNBCore::pack_forward_comm(int n, int* atoms, double* buf, int, int*) {
  if (sending_owners_) {
    for (int k = 0; k < n; ++k) buf[k] = owner_[atoms[k]];
    return n;
  }
  const std::vector<int> rows = places(n, atoms);
  attempt([&] { return nbcore_levels_read_states(levels_, level_, rows.size(), rows.data(), buf); });
  if (!wrong_.empty()) std::fill_n(buf, rows.size() * row_, 0.0);
  return static_cast<int>(rows.size() * row_);
}

void PairNBCore::unpack_forward_comm(int n, int first, double* buf) {
  if (sending_owners_) {
    for (int k = 0; k < n; ++k) owner_[first + k] = static_cast<int>(buf[k]);
    return;
  }
  const std::vector<int> rows = places(n, range(n, first).data());
  attempt([&] { return nbcore_levels_write_states(levels_, level_, rows.size(), rows.data(), buf); });
}

int PairNBCore::pack_reverse_comm(int n, int first, double* buf) {
  const std::vector<int> rows = places(n, range(n, first).data());
  attempt([&] { return nbcore_levels_take_adjoints(levels_, level_, rows.size(), rows.data(), buf); });
  if (!wrong_.empty()) std::fill_n(buf, rows.size() * row_, 0.0);
  return static_cast<int>(rows.size() * row_);
}

void PairNBCore::unpack_reverse_comm(int n, int* atoms, double* buf) {
  const std::vector<int> rows = places(n, atoms);
  attempt([&] { return nbcore_levels_add_adjoints(levels_, level_, rows.size(), rows.data(), buf); });
}

// ---- errors ----

/// Stops all ranks with the message of the first one on which something is wrong.
void PairNBCore::agree(const std::string& wrong) {
  const int mine = wrong.empty() ? comm->nprocs : comm->me;
  int first = mine;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == comm->nprocs) return;
  int size = static_cast<int>(wrong.size());
  MPI_Bcast(&size, 1, MPI_INT, first, world);
  std::string message = wrong;
  message.resize(size);
  MPI_Bcast(message.data(), size, MPI_CHAR, first, world);
  error->all(FLERR, "pair_style nbcore: " + message);
}

std::string PairNBCore::name_of(int place) const {
  std::ostringstream out;
  const int atom_here = atoms_.atom(place);
  out << "atom";
  if (atom->tag_enable) out << " " << atom->tag[atom_here];
  out << " (" << symbols_[atom->type[atom_here] - 1] << ")";
  return out.str();
}

/// In LAMMPS' names of atoms where nbcore speaks of places in arrays
std::string PairNBCore::reason(nbcore_status status) const {
  std::ostringstream out;
  if (status == NBCORE_EOVERLAP) {
    if (const auto c = atoms_.closest(); c.i < atoms_.n_all()) {
      out << name_of(c.i) << " and " << name_of(c.j) << " are " << c.distance << " Angstrom apart, closer than "
          << info_.r_min << "; the structure, or the time step, is out of hand";
      return out.str();
    }
  }
  if (status == NBCORE_ENONFINITE)
    for (int k = 0; k < atoms_.n_all(); ++k)
      for (int c = 0; c < 3; ++c)
        if (const double x = atom->x[atoms_.atom(k)][c]; !std::isfinite(x)) {
          out << name_of(k) << " has the coordinate " << x;
          return out.str();
        }
  out << nbcore_message();
  return out.str();
}
