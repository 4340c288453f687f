// What the commands pair_style and pair_coeff say, and what is checked before a run. Each step: pair_nbcore_compute.cpp.
#include "pair_nbcore.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "atom.h"
#include "comm.h"
#include "elements.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#ifdef NBCORE_LAMMPS_2021  // LAMMPS of 2021
#include "neigh_request.h"
#endif

using namespace LAMMPS_NS;
using nbcore_lammps::n_elements;
using nbcore_lammps::periodic_table;

namespace {

template <class... Parts> std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

int number_of(const std::string& symbol) {
  for (int z = 1; z < n_elements; ++z)
    if (symbol == periodic_table[z].symbol) return z;
  return 0;
}

/// What nbcore takes where no threads are given: one unless the environment says otherwise, so that ranks do not fight for
/// cores
int threads_of_environment() {
  for (const char* name : {"NBCORE_NUM_THREADS", "OMP_NUM_THREADS"})
    if (const char* value = std::getenv(name); value && *value) return std::atoi(value);
  return 1;
}

}  // namespace

PairNBCore::PairNBCore(LAMMPS* lmp) : Pair(lmp), info_(NBCORE_INFO), options_(NBCORE_OPTIONS) {
  single_enable = 0;  // not a sum over pairs
  restartinfo = 0;    // as of other many-body styles: pair_style and pair_coeff are given again after read_restart
  one_coeff = 1;
  manybody_flag = 1;
  unit_convert_flag = utils::get_supported_conversions(utils::ENERGY);
  no_virial_fdotr_compute = 1;  // the model gives the virial itself
  centroidstressflag = CENTROID_AVAIL;
  options_.precision = 64;
}

PairNBCore::~PairNBCore() {
  free_handles();
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
  memory->destroy(cutghost);
}

void PairNBCore::free_handles() {
  nbcore_levels_free(levels_), levels_ = nullptr;
  nbcore_free(model_), model_ = nullptr;
}

void PairNBCore::allocate() {
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  memory->create(cutghost, n, n, "pair:cutghost");
}

void PairNBCore::settings(int narg, char** arg) {
  const auto value = [&](int k) -> std::string {
    if (k + 1 >= narg) error->all(FLERR, text("pair_style nbcore: ", arg[k], " wants a value after it"));
    return arg[k + 1];
  };
  // LAMMPS keeps the pair style where the same one is given again; what is not said then is as by default
  asked_ = Way::automatic, options_ = NBCORE_OPTIONS, options_.precision = 64;
  for (int k = 0; k < narg; ++k) {
    const std::string word = arg[k];
    if (word == "ghosts") asked_ = Way::ghosts;
    else if (word == "exchange") asked_ = Way::exchange;
    else if (word == "precision") {
      const std::string precision = value(k++);
      if (precision != "float64" && precision != "float32")
        error->all(FLERR, text("pair_style nbcore: precision is float64 or float32, not ", precision));
      options_.precision = precision == "float64" ? 64 : 32;
    } else if (word == "threads") {
      options_.threads = utils::inumeric(FLERR, value(k++).c_str(), false, lmp);
      if (options_.threads < 1) error->all(FLERR, "pair_style nbcore: threads must be at least 1");
    } else {
      error->all(FLERR, text("pair_style nbcore: unknown word ", word,
                             "; expected pair_style nbcore [ghosts|exchange] [precision float64|float32] [threads N]"));
    }
  }
  // PairHybrid looks at this flag here, before the model is known
  ghostneigh = asked_ == Way::ghosts;
}

void PairNBCore::coeff(int narg, char** arg) {
  if (!allocated) allocate();
  if (narg < 3 || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR, "expected pair_coeff * * MODEL and the element of each atom type, or NULL");
  if (narg != 3 + atom->ntypes)
    error->all(FLERR, text("pair_coeff: ", narg - 3, " elements were given for ", atom->ntypes,
                           " atom types; each type needs its element, or NULL"));
  load(arg[2]);
  set_elements(atom->ntypes, arg + 3);
  int mapped = 0;
  for (int i = 1; i <= atom->ntypes; ++i)
    for (int j = i; j <= atom->ntypes; ++j) mapped += setflag[i][j] = numbers_[i] && numbers_[j] ? 1 : 0;
  if (mapped == 0)
    error->all(FLERR, "pair_coeff: all atom types are NULL; at least one must be an element of the model");
}

/// One rank reads, all have the same bytes: neither a busy file system nor a file that changes can part them.
void PairNBCore::load(const char* path) {
  free_handles();
  path_ = path;
  std::vector<char> bytes;
  std::string wrong;
  long long size = 0;
  if (comm->me == 0) {
    if (std::FILE* file = std::fopen(path, "rb")) {
      char block[1 << 16];
      while (const std::size_t n = std::fread(block, 1, sizeof block, file))
        bytes.insert(bytes.end(), block, block + n);
      if (std::ferror(file)) wrong = text("cannot read the model ", path, ": ", std::strerror(errno));
      std::fclose(file);
    } else {
      wrong = text("cannot open the model ", path, ": ", std::strerror(errno));
    }
    size = static_cast<long long>(bytes.size());
  }
  agree(wrong);
  MPI_Bcast(&size, 1, MPI_LONG_LONG, 0, world);
  bytes.resize(size);
  constexpr long long most = 1 << 30;  // of one message
  for (long long at = 0; at < size; at += most)
    MPI_Bcast(bytes.data() + at, static_cast<int>(std::min(size - at, most)), MPI_CHAR, 0, world);

  const auto check = [&](nbcore_status status) {
    if (status != NBCORE_OK && wrong.empty()) wrong = text(path, ": ", nbcore_message());
  };
  check(nbcore_load_memory(bytes.data(), bytes.size(), &model_));
  info_ = NBCORE_INFO;
  if (wrong.empty()) check(nbcore_get_info(model_, &info_));
  if (wrong.empty() && (info_.scheme || info_.leaves > 0))
    wrong = text(path, ": this model reads ", info_.scheme ? "a composition scheme" : "leaf states",
                 ", which LAMMPS does not know");
  agree(wrong);
}

void PairNBCore::set_elements(int n, char** symbols) {
  std::vector<int> known(256);
  int n_known = 0;
  nbcore_species(model_, static_cast<int>(known.size()), known.data(), &n_known);
  known.resize(std::min<std::size_t>(n_known, known.size()));
  symbols_.assign(symbols, symbols + n);
  numbers_.assign(n + 1, 0);
  for (int type = 1; type <= n; ++type) {
    const std::string& symbol = symbols_[type - 1];
    if (symbol == "NULL") continue;
    numbers_[type] = number_of(symbol);
    if (std::find(known.begin(), known.end(), numbers_[type]) != known.end()) continue;
    std::string all;
    for (int z : known) all += text(" ", periodic_table[z].symbol);
    error->all(FLERR, text("pair_coeff: atom type ", type, " is given as ", symbol, ", which ", path_,
                           " does not know; its elements are", all));
  }
  trained_.assign(n_elements, {});
  for (int a : known) {
    trained_[a].assign(n_elements, 0.0);
    for (int b : known) nbcore_closest(model_, a, b, &trained_[a][b]);
  }
}

/// Elements in another order than the types would give numbers that look like numbers.
void PairNBCore::check_masses() const {
  if (!atom->mass) return;
  for (int type = 1; type <= atom->ntypes; ++type) {
    const double mass = atom->mass_setflag[type] ? atom->mass[type] : 0;
    const int z = numbers_[type];
    if (z == 0 || mass <= 0 || std::abs(mass / periodic_table[z].mass - 1) < 0.2) continue;
    for (int other = 1; other < n_elements; ++other)
      if (!trained_[other].empty() && std::abs(mass / periodic_table[other].mass - 1) < 0.02)
        error->all(FLERR, text("pair_coeff: atom type ", type, " is given as ", periodic_table[z].symbol,
                               ", but its mass ", mass, " is that of ", periodic_table[other].symbol,
                               ": elements stand in the order of the atom types"));
  }
}

void PairNBCore::init_style() {
  const bool real = std::strcmp(update->unit_style, "real") == 0;
  if (!real && std::strcmp(update->unit_style, "metal") != 0)
    error->all(FLERR, text("pair_style nbcore: models are in eV and Angstrom; give units metal or units real, not ",
                           update->unit_style));
  energy_unit_ = real ? utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL) : 1;
  if (force->newton_pair == 0)
    error->all(FLERR, "pair_style nbcore: forces on ghost atoms have to return to their owners; give newton on");
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0)
    error->all(FLERR,
               "pair_style nbcore: neigh_modify exclude takes away neighbours that atoms have; remove it "
               "(to hold atoms fixed, leave them out of the integrated group)");
  if (neighbor->includegroup)
    error->all(FLERR, "pair_style nbcore: neigh_modify include takes away neighbours that atoms have; remove it");
  check_masses();

  way_ = asked_;
  if (way_ == Way::automatic) way_ = comm->nprocs == 1 ? Way::alone : Way::exchange;
  if (info_.levels == 1 && way_ == Way::exchange) way_ = Way::ghosts;  // there is nothing to exchange
  const bool ghost_rows = way_ == Way::ghosts && info_.levels > 1;
  ghostneigh = ghost_rows;
  if (ghost_rows) {
    if (comm->mode != Comm::SINGLE)
      error->all(FLERR,
                 "pair_style nbcore ghosts: ghost atoms of all types must reach equally far; give comm_modify mode "
                 "single, or pair_style nbcore exchange");
    comm->cutghostuser = std::max(comm->cutghostuser, info_.ghost_range + neighbor->skin);
  }
#ifdef NBCORE_LAMMPS_2021
  const int request = neighbor->request(this, instance_me);
  neighbor->requests[request]->half = 0, neighbor->requests[request]->full = 1;
  neighbor->requests[request]->ghost = ghost_rows;
#else
  neighbor->add_request(this, NeighConst::REQ_FULL | (ghost_rows ? NeighConst::REQ_GHOST : 0));
#endif

  comm_forward = 1;  // owners
  comm_reverse = 0;
  nbcore_levels_free(levels_), levels_ = nullptr;
  std::string wrong;
  if (way_ == Way::exchange) {
    if (nbcore_levels_new(model_, &options_, &levels_) != NBCORE_OK) wrong = nbcore_message();
    for (int level = 1; level < info_.levels && wrong.empty(); ++level) {
      std::size_t bytes = 0;
      if (nbcore_levels_row_bytes(levels_, level, &bytes) != NBCORE_OK) wrong = nbcore_message();
      comm_forward = std::max(comm_forward, static_cast<int>(bytes / sizeof(double)));
      comm_reverse = std::max(comm_reverse, static_cast<int>(bytes / sizeof(double)));
    }
  }
  agree(wrong);
  if (Pair* whole = force->pair; whole != this) {  // hybrid took these numbers when the style was made
    whole->comm_forward = std::max(whole->comm_forward, comm_forward);
    whole->comm_reverse = std::max(whole->comm_reverse, comm_reverse);
    whole->ghostneigh |= ghostneigh;
  }
  say_what_runs();
}

void PairNBCore::say_what_runs() const {
  if (comm->me != 0) return;
  std::string types;
  for (std::size_t k = 0; k < symbols_.size(); ++k) types += text(k ? ", " : " ", k + 1, " ", symbols_[k]);
  const bool several = info_.levels > 1;
  const int threads = options_.threads ? options_.threads : threads_of_environment();
  const char* how = !several                ? "one level needs nothing else of ghosts"
                    : way_ == Way::ghosts   ? "lower levels are evaluated for ghosts, too"
                    : way_ == Way::exchange ? "ranks exchange states of ghosts"
                                            : "one rank owns all";
  utils::logmesg(
      lmp, text("nbcore ", nbcore_version(), ": model ", path_, ", atom types", types, "\n", "  ", info_.levels,
                several ? " levels" : " level", ", cutoff ", info_.cutoff, ", ghosts within ",
                way_ == Way::ghosts ? info_.ghost_range : info_.cutoff, " Angstrom: ", how, "\n  kernels ",
                info_.kernel_set, ", float", options_.precision, ", ", threads, threads == 1 ? " thread" : " threads",
                " per rank, ", comm->nprocs, comm->nprocs == 1 ? " rank\n" : " ranks\n"));
}

void PairNBCore::init_list(int id, NeighList* ptr) {
  Pair::init_list(id, ptr);
  stale_ = true;
  check_lists();
}

/// Neighbours that are bonded are neighbours all the same.
void PairNBCore::check_lists() const {
  if (atom->molecular == Atom::ATOMIC) return;
  int bonded = atom->molecular == Atom::TEMPLATE, any = 0;
  for (int i = 0; i < atom->nlocal && atom->nspecial && !bonded; ++i) bonded = atom->nspecial[i][2] > 0;
  MPI_Allreduce(&bonded, &any, 1, MPI_INT, MPI_MAX, world);
  for (int k = 1; k <= 3 && any; ++k)
    if (neighbor->special_flag[k] == 0)
      error->all(FLERR,
                 "pair_style nbcore: special_bonds takes bonded atoms out of the neighbour lists; give "
                 "special_bonds lj/coul 1.0 1.0 1.0 (1.0e-50 instead of zeros for other styles of a hybrid)");
}

double PairNBCore::init_one(int i, int j) {
  if (setflag[i][j] == 0)
    error->all(FLERR, text("pair_style nbcore: atom types ", i, " and ", j,
                           " have no pair_coeff; NULL types need a "
                           "style of their own, with pair_style hybrid or hybrid/overlay"));
  cutghost[i][j] = cutghost[j][i] = info_.cutoff;
  return info_.cutoff;
}

// ---- quantities for fix pair ----

void* PairNBCore::extract(const char* name, int& dim) {
  dim = 0;
  for (auto [word, what] : {std::pair{"closeness_flag", &closeness_}, std::pair{"grade_flag", &grade_}})
    if (std::strcmp(name, word) == 0) return what->triggered = true, &what->flag;
  return nullptr;
}

void* PairNBCore::extract_peratom(const char* name, int& columns) {
  columns = 0;
  PerAtom* what = nullptr;
  if (std::strcmp(name, "closeness") == 0) what = &closeness_;
  if (std::strcmp(name, "grade") == 0) {
    what = &grade_;
    nbcore_uncertainty_kind kind = NBCORE_NO_UNCERTAINTY;
    if (model_) nbcore_uncertainty(model_, &kind);
    if (info_.members > 1)
      error->all(
          FLERR,
          text("pair_style nbcore: ", path_, " is a committee, and only single models have extrapolation grades; ",
               "compute(..., uncertainty=True) in Python tells how far its members are apart, in frames of a dump"));
    if (kind != NBCORE_LAST_LAYER)
      error->all(FLERR, text("pair_style nbcore: ", path_,
                             " has no extrapolation grades; nbcore uncertainty MODEL DATA "
                             "adds them to a model"));
  }
  if (!what) return nullptr;
  what->wanted = true;
  what->values.resize(atom->nmax);
  refresh(*what);
  return what->values.data();
}
