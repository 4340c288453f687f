// Sums over pairs of neighbours of functions of both distances and of the angle between them: the angular symmetry
// functions of Behler and Parrinello and of ANI. With c = cos of the angle j i k, and the envelope f of the cutoff,
//
//   out[i][z1 z2][n] = scale * sum over pairs {j, k}, of species z1 and z2, of  a_n(c) g_n(r_ij, r_ik, r_jk) f f [f]
//
//   wide     a = 2^(1 - zeta) (1 + lambda c)^zeta       g = exp(-eta ((r_ij - s)^2 + (r_ik - s)^2))
//   narrow   the same                                   g = exp(-eta ((r_ij - s)^2 + (r_ik - s)^2 + (r_jk - s)^2)), and f(r_jk)
//   ani      a = 2 ((1 + cos(theta - angle)) / 2)^zeta  g = exp(-eta ((r_ij + r_ik) / 2 - s)^2)
//            theta = arccos(0.95 c)
//
// Each pair counts once; a group of channels per pair of species z1 <= z2. Functions that share an angular or a distance
// factor share its evaluation. No weights. Neighbours within the cutoff lie in scratch, an array for each number that is
// wanted of them, so that of one neighbour j a register of neighbours k is done at a time.
#include <algorithm>
#include <cmath>

#include "gates/gate.hpp"
#include "ops/power.hpp"

namespace nbcore {

namespace {

enum class Form { wide, narrow, ani };

const std::vector<std::string> envelopes = {"cosine", "polynomial", "smooth", "tanh"};

const OptionTable options = {
    choice("form", {"wide", "narrow", "ani"}, "which functions: wide (G5), narrow (G4), ani"),
    real("cutoff", 5.0, 0, 1e6, "where they end, Angstrom", true),
    choice("envelope", envelopes, "what takes them to zero at the cutoff"),
    whole("power", 6, 2, 50, "of the polynomial envelope"),
    reals("zeta", "of each function, at least 1; where none is given, functions of the usual kind"),
    reals("eta", "of each function, 1/Angstrom^2"),
    reals("shift", "of each function, of distances, Angstrom; zeros where none is given"),
    reals("lambda", "of each function of wide and narrow, 1 or -1"),
    reals("angle", "of each function of ani, radians"),
    real("scale", 1.0, "factor of the sums"),
};

constexpr int most_functions = 256;

struct Angular {
  double at, zeta;  // lambda, or the angle
  bool operator==(const Angular&) const = default;
};
struct Distance {
  double eta, shift;
  bool operator==(const Distance&) const = default;
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::children;
  Form form;
  double scale;
  Radial envelope;
  std::vector<Angular> angular;     // the different ones
  std::vector<Distance> distances;  // the different ones
  std::vector<std::pair<int, int>> functions;
  int n_species;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : form(o.is("form", "wide")     ? Form::wide
             : o.is("form", "narrow") ? Form::narrow
                                      : Form::ani),
        scale(o.real("scale")),
        n_species(around.n_child_species) {
    if (!inputs.empty()) throw InputError("its children are leaves; it takes no inputs");
    const std::string at_name = form == Form::ani ? "angle" : "lambda";
    if (!o.numbers(form == Form::ani ? "lambda" : "angle").empty())
      throw InputError(message(form == Form::ani ? "lambda goes with wide and narrow, ani has angle"
                                                 : "angle goes with ani, wide and narrow have lambda"));
    if (o.numbers("zeta").empty()) {
      for (const std::string& name : {std::string("eta"), std::string("shift"), at_name})
        if (!o.numbers(name).empty()) throw InputError(message(name, " needs zeta beside it, a number per function"));
      usual(o.real("cutoff"));
    } else {
      read(o, at_name);
    }
    const int n = int(functions.size());
    envelope.basis = Basis::inverse_power, envelope.n = 1, envelope.first = 0, envelope.cutoff = o.real("cutoff");
    envelope.envelope = o.is("envelope", "cosine")   ? Envelope::cosine
                        : o.is("envelope", "smooth") ? Envelope::smooth
                        : o.is("envelope", "tanh")   ? Envelope::tanh
                                                     : Envelope::polynomial;
    envelope.power = o.whole("power"), envelope.r_min = 0.5 * envelope.cutoff;
    envelope.check();
    radials = {Radial::length_within(envelope.cutoff), envelope}, l_harmonics = 1;
    count_terms(std::int64_t(n) * n_species * (n_species + 1) / 2);
    output = {{0, around.natural(0), n_species * (n_species + 1) / 2, n}};
  }

 private:
  void add(Angular a, Distance d) { functions.emplace_back(number(angular, a), number(distances, d)); }
  /// Behler's angles of both signs and four widths; ANI's grid of eight angles and four distances
  void usual(double cutoff) {
    if (form == Form::ani)
      for (int shift = 0; shift < 4; ++shift)
        for (int angle = 0; angle < 8; ++angle)
          add({(angle + 0.5) * M_PI / 8, 32}, {8, 0.9 + shift * std::max(cutoff - 0.9, 0.0) / 4});
    else
      for (double zeta : {1, 2, 4, 16})
        for (double lambda : {1, -1}) add({lambda, zeta}, {1 / (cutoff * cutoff), 0});
  }
  void read(const OptionValues& o, const std::string& at_name) {
    const std::vector<double>& zeta = o.numbers("zeta");
    const int n = int(zeta.size());
    if (n > most_functions) throw InputError(message("zeta has more than ", most_functions, " numbers, ", n));
    const auto one_each = [&](const std::string& name) {
      const std::vector<double>& given = o.numbers(name);
      if (int(given.size()) != n)
        throw InputError(message(name, " needs a number per function, ", n, " as zeta has, got ", given.size()));
      return given;
    };
    const std::vector<double> eta = one_each("eta"), at = one_each(at_name),
                              shift = o.numbers("shift").empty() ? std::vector<double>(n) : one_each("shift");
    for (int k = 0; k < n; ++k) {
      if (!(zeta[k] >= 1 && zeta[k] <= 1000)) throw InputError(message("zeta must be 1 to 1000, got ", zeta[k]));
      if (!(eta[k] >= 0 && eta[k] <= 1e6)) throw InputError(message("eta must be 0 to 1000000, got ", eta[k]));
      if (form != Form::ani && std::abs(at[k]) != 1) throw InputError(message("lambda must be 1 or -1, got ", at[k]));
      if (form != Form::ani && zeta[k] != std::floor(zeta[k]))
        throw InputError(message("zeta of wide and narrow must be whole numbers, got ", zeta[k]));
      add({at[k], zeta[k]}, {eta[k], shift[k]});
    }
  }
  template <class T> static int number(std::vector<T>& all, const T& wanted) {
    const std::ptrdiff_t at = std::find(all.begin(), all.end(), wanted) - all.begin();
    if (at == std::ptrdiff_t(all.size())) all.push_back(wanted);
    return int(at);
  }
};

/// A factor and its derivatives by r_ij, r_ik, r_jk and c, as far as it depends on them
template <class T> struct Factor {
  T value, by_j, by_k, by_jk;
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  enum { length, cut, way, n_arrays = way + 3 };  // numbers of a neighbour: distance, envelope, direction
  Form form;
  Real scale;
  Radial envelope_;
  std::vector<Angular> angular;
  std::vector<Distance> distances;
  std::vector<std::pair<int, int>> functions;
  int n_species, radial_r, radial_f;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace> places)
      : form(rule.form),
        scale(Real(rule.scale)),
        envelope_(rule.envelope),
        angular(rule.angular),
        distances(rule.distances),
        functions(rule.functions),
        n_species(rule.n_species),
        radial_r(places[0].set),
        radial_f(places[1].set) {}

  template <class Lane> void forward(Block<Real>& b) const {
    b.output.template clear<Lane>(0, b.n);
    const int row = padded<Real>(int(functions.size()));
    const Planes<Real> sums = b.scratch->take_planes(std::size_t(row) * w, is_dual<Lane>);
    each_pair_of_species<Lane>(b, [&](const Neighbours& all, int i, int z1, int z2) {
      fill(sums.value, std::ptrdiff_t(row) * w, 0);
      if constexpr (is_dual<Lane>) fill(sums.dot, std::ptrdiff_t(row) * w, 0);
      Factor<Lane> G[most_functions];
      Lane A[most_functions];
      each_register<Lane>(all, z1, z2, [&](int, int, const Triplets<Lane>& t) {
        const Lane weight = product(scale, product(product(t.f_j, t.f_k), t.f_jk.f));
        for (std::size_t a = 0; a < angular.size(); ++a) A[a] = angular_factor(angular[a], t).value;
        for (std::size_t d = 0; d < distances.size(); ++d)
          G[d].value = product(weight, distance_factor(distances[d], t).value);
        for (std::size_t n = 0; n < functions.size(); ++n) {
          Lane sum = load<Lane>(sums, n * w);
          add_product(sum, A[functions[n].first], G[functions[n].second].value);
          store(sums, n * w, sum);
        }
      });
      Real* out = written<Lane>(b.output.own(0)) + std::ptrdiff_t(i) * b.output.layout->row(0) + pair(z1, z2) * row;
      const Real* from = written<Lane>(sums);
      for_lanes(std::ptrdiff_t(functions.size()), [&](std::ptrdiff_t n) {
        for (int k = 0; k < w; ++k) out[n] += from[n * w + k];
      });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    if constexpr (want.edges) {
      using Scalar = ScalarOf<Lane>;
      const int row = padded<Real>(int(functions.size()));
      each_pair_of_species<Lane>(
          b,
          [&](const Neighbours& all, int i, int z1, int z2) {
            const Planes<Real> out_bar =
                b.output.own_bar(0) + (std::ptrdiff_t(i) * b.output.layout->row(0) + pair(z1, z2) * row);
            Factor<Lane> A[most_functions], G[most_functions];
            Lane A_bar[most_functions], G_bar[most_functions];
            each_register<Lane>(all, z1, z2, [&](int j, int k, const Triplets<Lane>& t) {
              for (std::size_t a = 0; a < angular.size(); ++a) A[a] = angular_factor(angular[a], t), A_bar[a] = Lane{};
              for (std::size_t d = 0; d < distances.size(); ++d)
                G[d] = distance_factor(distances[d], t), G_bar[d] = Lane{};
              for (std::size_t n = 0; n < functions.size(); ++n) {
                const auto [a, d] = functions[n];
                const Scalar bar = load_scalar<Scalar>(out_bar, n);
                add_product(A_bar[a], bar, G[d].value);
                add_product(G_bar[d], bar, A[a].value);
              }
              Lane sum{}, c_bar{}, j_bar{}, k_bar{}, jk_bar{};  // sum: of A G, the adjoint of the weight
              for (std::size_t a = 0; a < angular.size(); ++a) {
                add_product(sum, A_bar[a], A[a].value);
                add_product(c_bar, A_bar[a], A[a].by_jk);
              }
              for (std::size_t d = 0; d < distances.size(); ++d) {
                add_product(j_bar, G_bar[d], G[d].by_j);
                add_product(k_bar, G_bar[d], G[d].by_k);
                if (form == Form::narrow) add_product(jk_bar, G_bar[d], G[d].by_jk);
              }
              const Lane ff = product(scale, product(t.f_j, t.f_k)), weight = product(ff, t.f_jk.f);
              c_bar = product(c_bar, weight), j_bar = product(j_bar, weight), k_bar = product(k_bar, weight);
              const Lane f_j_bar = product(sum, product(scale, product(t.f_k, t.f_jk.f))),
                         f_k_bar = product(product(t.inside, sum), product(scale, product(t.f_j, t.f_jk.f)));
              if (form == Form::narrow) {  // r_jk^2 = r_ij^2 + r_ik^2 - 2 r_ij r_ik c
                jk_bar = product(jk_bar, weight);
                add_product(jk_bar, sum, product(ff, t.f_jk.df));
                const Lane over = product(jk_bar, t.inverse_jk);
                add_product(j_bar, over, t.r_j - product(t.r_k, t.c));
                add_product(k_bar, over, t.r_k - product(t.r_j, t.c));
                subtract_product(c_bar, over, product(t.r_j, t.r_k));
              }
              add_at_one<Lane>(all.bars, all.size, length, j, j_bar),
                  add_at_one<Lane>(all.bars, all.size, cut, j, f_j_bar);
              add_register<Lane>(all.bars, all.size, length, k, k_bar),
                  add_register<Lane>(all.bars, all.size, cut, k, f_k_bar);
              for (int m = 0; m < 3; ++m) {
                add_at_one<Lane>(all.bars, all.size, way + m, j, product(c_bar, t.u_k[m]));
                add_register<Lane>(all.bars, all.size, way + m, k, product(c_bar, t.u_j[m]));
              }
            });
          },
          true);
    }
  }

 private:
  /// The neighbours of an atom within the cutoff, species after species, each beginning with a whole register
  struct Neighbours {
    Planes<Real> numbers, bars;  // [n_arrays][size]
    std::ptrdiff_t size;
    const int* first;  // of species z, its slots: first[z] .. first[z] + count[z] - 1
    const int* count;
  };
  /// One neighbour j and a register of neighbours k
  template <class T> struct Triplets {
    T r_j, f_j, u_j[3], r_k, f_k, u_k[3], c, r_jk, inverse_jk;
    Simd<Real> inside;  // 1, but 0 in lanes that are no pair of this turn, and so is f_k there
    Slope<T> f_jk;
  };

  int pair(int z1, int z2) const { return z1 * n_species - z1 * (z1 - 1) / 2 + z2 - z1; }

  template <class Lane> Lane constant(double value) const { return Lane{} + Real(value); }

  /// f(register of slots) added; slots of one register are different
  template <class Lane> static void add_register(Planes<Real> to, std::ptrdiff_t size, int array, int slot, Lane a) {
    store(to, array * size + slot, load<Lane>(to, array * size + slot) + a);
  }
  /// The sum over the lanes, added to one slot
  template <class Lane> static void add_at_one(Planes<Real> to, std::ptrdiff_t size, int array, int slot, Lane a) {
    const auto total = lane_sum(a);
    sync();  // the slot may be of a register that was just written
    add_scalar(to, array * size + slot, total);
    sync();
  }

  /// f(neighbours, atom, z1, z2) for every atom and pair of species z1 <= z2 that it has neighbours of; with
  /// `adjoints` what f adds to `bars` is then carried to the edges.
  template <class Lane, class F> void each_pair_of_species(Block<Real>& b, F f, bool adjoints = false) const {
    constexpr bool dual = is_dual<Lane>;
    Edges<Real>& e = *b.edges;
    std::int64_t most = 0;
    for (int i = 0; i < b.n; ++i) most = std::max(most, b.first[i + 1] - b.first[i]);
    const std::ptrdiff_t size = padded<Real>(most) + std::ptrdiff_t(n_species) * 2 * padded<Real>(1);
    const Planes<Real> numbers = b.scratch->take_planes(n_arrays * size, dual),
                       bars = b.scratch->take_planes(n_arrays * size, dual);
    std::vector<int> first(n_species), count(n_species);
    const Planes<Real> R = e.B[radial_r].planes(), E = e.B[radial_f].planes(), Y = e.Y.planes();
    const int R_row = e.B_row(radial_r), E_row = e.B_row(radial_f);
    const Real unit = Real(1 / std::sqrt(3.0));  // the three harmonics of l = 1 are sqrt(3) times the direction
    const auto copy = [&](int array, int slot, Planes<Real> from, std::ptrdiff_t at, Real factor) {
      numbers.value[array * size + slot] = factor * from.value[at];
      if constexpr (dual) numbers.dot[array * size + slot] = factor * from.dot[at];
    };
    const auto add = [&](Planes<Real> to, std::ptrdiff_t at, int array, int slot, Real factor) {
      to.value[at] += factor * bars.value[array * size + slot];
      if constexpr (dual) to.dot[at] += factor * bars.dot[array * size + slot];
    };
    for (int i = 0; i < b.n; ++i) {
      for (const Planes<Real>& all : {numbers, bars}) {
        fill(all.value, n_arrays * size, 0);
        if constexpr (dual) fill(all.dot, n_arrays * size, 0);
      }
      const auto each_neighbour = [&](auto g) {  // g(edge, slot) for those within the cutoff
        int slot = 0, z = -1;
        for (std::int64_t q = b.first[i]; q < b.first[i + 1]; ++q) {
          if (E.value[q * E_row] == 0) continue;
          if (b.child_species[q] != z) slot = (slot + w - 1) / w * w, z = b.child_species[q], first[z] = slot;
          g(q, slot), ++slot, count[z] = slot - first[z];
        }
      };
      std::fill(count.begin(), count.end(), 0);
      each_neighbour([&](std::int64_t q, int slot) {
        once([&] {
          copy(length, slot, R, q * R_row, 1), copy(cut, slot, E, q * E_row, 1);
          for (int m = 0; m < 3; ++m) copy(way + m, slot, Y, q * e.Y_row + 1 + m, unit);
        });
      });
      sync();
      const Neighbours all{numbers, bars, size, first.data(), count.data()};
      for (int z1 = 0; z1 < n_species; ++z1)
        for (int z2 = z1; z2 < n_species; ++z2)
          if (count[z1] > 0 && count[z2] > (z1 == z2)) f(all, i, z1, z2);
      sync();
      if (adjoints)
        each_neighbour([&](std::int64_t q, int slot) {
          once([&] {
            add(e.B_bar[radial_r].planes(), q * R_row, length, slot, 1),
                add(e.B_bar[radial_f].planes(), q * E_row, cut, slot, 1);
            for (int m = 0; m < 3; ++m) add(e.Y_bar.planes(), q * e.Y_row + 1 + m, way + m, slot, unit);
          });
        });
    }
  }

  /// g(j, first slot of k, triplets) for every pair {j, k} of neighbours of the two species
  template <class Lane, class G> void each_register(const Neighbours& all, int z1, int z2, G g) const {
    const auto scalar = [&](int array, int slot) {
      if constexpr (is_dual<Lane>) {
        const auto x = load_scalar<Dual<Real>>(all.numbers, array * all.size + slot);
        return Lane{Simd<Real>{} + x.value, Simd<Real>{} + x.dot};
      } else {
        return Lane{} + all.numbers.value[array * all.size + slot];
      }
    };
    const auto several = [&](int array, int slot) { return load<Lane>(all.numbers, array * all.size + slot); };
    for (int j = all.first[z1]; j < all.first[z1] + all.count[z1]; ++j) {
      Triplets<Lane> t;
      t.r_j = scalar(length, j), t.f_j = scalar(cut, j);
      for (int m = 0; m < 3; ++m) t.u_j[m] = scalar(way + m, j);
      const int end = all.first[z2] + all.count[z2], begin = z1 == z2 ? j + 1 : all.first[z2];
      for (int k = begin / w * w; k < end; k += w) {
        t.r_k = several(length, k), t.f_k = several(cut, k);
        for (int m = 0; m < 3; ++m) t.u_k[m] = several(way + m, k);
        t.inside = of_each_lane<Real>([&](int lane) { return Real(k + lane >= begin && k + lane < end); });
        t.f_k = product(t.inside, t.f_k);
        t.c = product(t.u_j[0], t.u_k[0]);
        add_product(t.c, t.u_j[1], t.u_k[1]), add_product(t.c, t.u_j[2], t.u_k[2]);
        t.f_jk = {constant<Lane>(1), constant<Lane>(0)};
        if (form == Form::narrow) third_side(t);
        g(j, k, t);
      }
    }
  }

  /// r_jk, and its envelope, computed in double. Where j and k are the same, or k is none, it is kept off zero: what
  /// depends on it there is multiplied by zero.
  template <class T> void third_side(Triplets<T>& t) const {
    T square = product(t.r_j - t.r_k, t.r_j - t.r_k);  // (r_j - r_k)^2 + 2 r_j r_k (1 - c): no cancellation
    add_product(square, product(t.r_j, t.r_k), (constant<T>(1) - t.c) * Real(2));
    const auto zero = value_of(square) < Real(1e-6);
    const auto off_zero = [&](auto value) { return zero ? value * Real(0) + Real(1) : value; };
    if constexpr (is_dual<T>) square = {off_zero(square.value), zero ? square.dot * Real(0) : square.dot};
    else square = off_zero(square);
    t.inverse_jk = inverse_square_root(square);
    t.r_jk = product(square, t.inverse_jk);
    t.f_jk = in_double<Slope>([&](auto x) { return envelope(envelope_, x); }, t.r_jk);
  }

  template <class T> Factor<T> angular_factor(const Angular& a, const Triplets<T>& t) const {
    if (form != Form::ani) {
      const PowerAndSlope<T> p = power(t.c * Real(a.at) + Real(1), a.zeta);
      const Real factor = Real(std::exp2(1 - a.zeta));
      return {p.value * factor, T{}, T{}, p.slope * (factor * Real(a.at))};
    }
    const T x = t.c * Real(0.95), sine = square_root(Real(1) - product(x, x));
    const Real cos_at = Real(std::cos(a.at)), sin_at = Real(std::sin(a.at));
    const PowerAndSlope<T> p = power((x * cos_at + sine * sin_at + Real(1)) * Real(0.5), a.zeta);
    const T slope = x * reciprocal(sine) * -sin_at + cos_at;  // of 1 + cos(theta - at), by x
    return {p.value * Real(2), T{}, T{}, product(p.slope, slope) * Real(0.95)};
  }

  template <class T> Factor<T> distance_factor(const Distance& d, const Triplets<T>& t) const {
    const Real eta = Real(d.eta), shift = Real(d.shift);
    if (form == Form::ani) {
      const T x = (t.r_j + t.r_k) * Real(0.5) - shift, g = exponential(product(x, x) * -eta);
      const T slope = product(g, x) * -eta;
      return {g, slope, slope, T{}};
    }
    const T j = t.r_j - shift, k = t.r_k - shift;
    T squares = product(j, j);
    add_product(squares, k, k);
    if (form == Form::wide) {
      const T g = exponential(squares * -eta);
      return {g, product(g, j) * (-2 * eta), product(g, k) * (-2 * eta), T{}};
    }
    const T jk = t.r_jk - shift;
    add_product(squares, jk, jk);
    const T g = exponential(squares * -eta);
    return {g, product(g, j) * (-2 * eta), product(g, k) * (-2 * eta), product(g, jk) * (-2 * eta)};
  }
};

}  // namespace

NB_GATE(triplet, "Angular functions: sums over pairs of neighbours, by pairs of species, as Behler's and ANI's")

}  // namespace nbcore
