// The zeroth-order gate (eq. 10), fused: children's states times harmonics, summed over children.
//
//   A[i][p][m3][c] = sum over children j of i, sum over m1, m2 of  C_p[m1][m2][m3] Y_l2m2(r_ij) w_p[ij][c] H[j][m1][c]
//   w_p[ij][c]     = sum_n W[p][n][c] B_n(r_ij)
//
// Paths p = (part of H, l2, l3). Output part l3 has one group of channels per path (radial "mix"), or with radial "all"
// one group per path and radial function, w = B_n, no parameters: the sums over s of eq. (10) kept apart, to the
// letter.
//
// Without an input the children's states are their species, H[j][c] = E[species of j][c], embedded in a table of
// weights: the kernels read it as they read a state, the species being the row of the child.
//
// Input parts of different widths come out as parts of their own, and have weights of their own.
// Complex states (Part) are summed plane by plane; a coupling with odd l1 + l2 + l3 is i times the real one, as seen
// from the real basis (so3::real_clebsch_gordan): the sums of such paths are turned by i in the end.
//
//   forward   channel register outside, then path, then children; the 2l3+1 sums stay in registers
//   adjoint   edge outside, then path, then channel registers; the Gram matrix A_bar (w H) stays in registers, and
//             turns to Y_bar, whose lanes are summed once per edge
//
// Nothing of size edges x channels leaves the scratch of one parent.
#include <algorithm>
#include <cmath>

#include "gates/gate.hpp"
#include "ops/aggregation.hpp"

namespace nbcore {

namespace {

constexpr int fewest_tabled = 16;          // radial functions for which a table pays
constexpr double most_bytes_tabled = 5e8;  // of many pairs of elements
constexpr int chunk = 32;                  // children whose weights and couplings are in scratch at a time

const OptionTable options = {
    whole("l_max", 3, 0, max_l_network, "largest l of the harmonics"),
    whole("l_min", 0, 0, "l_max", "smallest l of the harmonics"),
    whole("l_step", 1, 1, 2, "2: every second l only, l_max, l_max - 2, ..."),
    whole("l_out", "l_max", 0, max_l_network, "largest l of the output"),
    radial_functions("radial basis"),
    choice("radial_mode", {"mix", "all"},
           "mix: weights over the radial functions, per path and channel; all: one group of channels per function"),
    choice("parities", {"natural", "all"}, "with o3, natural: outputs of parity (-1)^l only; all: pseudo-tensors too"),
    real("scale", 1.0, "factor of the sum"),
    whole("channels", 64, 1, 4096, "without an input: channels of the species of the children"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::children;
  Angular angular;
  bool all;  // every radial function apart
  double scale;
  std::vector<Part> species;  // without an input: the state of the children
  struct Weights {
    std::int64_t first, channels;  // parameter R[0][0] of a path, its channels
  };
  std::vector<Weights> weights;  // [path]

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : angular{o.whole("l_max"), o.whole("l_min"), o.whole("l_step"), o.whole("l_out"),
                around.o3 && o.is("parities", "natural")},
        all(o.is("radial_mode", "all")),
        scale(o.real("scale")) {
    if (inputs.size() > 1) throw InputError("it takes one input, the state of the children, or none: their species");
    if (inputs.empty()) {
      species = {{0, around.natural(0), 1, o.whole("channels")}};
      parameters.push_back({"E", {around.n_child_species, species[0].channels()}});
    }
    const std::span<const Part> H = state(inputs);
    radials = {radial_of(o)}, l_harmonics = angular.l_max;
    const std::vector<Path> paths = aggregation_paths(H, angular, copies(), output);
    count_terms(std::int64_t(paths.size()));
    if (!all) radial_weights_of(H, paths);
  }
  std::optional<SpeciesSums> species_sums() const override {
    const int n = radials[0].width();
    if (species.empty() || all || !radials[0].network() || n < fewest_tabled) return {};
    SpeciesSums sums{{}, 0, n, species[0].channels()};
    std::vector<Part> parts;
    const std::vector<Path> paths = aggregation_paths(species, angular, 1, parts);
    for (const Path& p : paths) {  // of scalars: one for each l, in order
      if (p.l3 != int(sums.parts.size())) return {};
      const double C = scale * so3::real_clebsch_gordan(0, p.l2, p.l3)[0];
      sums.parts.push_back({weights[sums.parts.size()].first, C / std::sqrt(double(n)), parts[p.part3].parity});
    }
    return sums;
  }
  int copies() const { return all ? radials[0].width() : 1; }
  std::span<const Part> state(const States& inputs) const { return inputs.empty() ? species : inputs[0]; }

 private:
  /// One array R where all parts have the same channels, else one for the paths of each part
  void radial_weights_of(std::span<const Part> H, const std::vector<Path>& paths) {
    for (const Part& h : H)
      if (h.groups != h.planes()) throw InputError("radial_mode \"mix\": parts of the input must have one group");
    const bool same = std::all_of(H.begin(), H.end(),
                                  [&](const Part& h) { return h.group == H[0].group && h.complex == H[0].complex; });
    const auto belongs = [&](const Path& p, std::size_t part) { return same || p.part1 == int(part); };
    weights.resize(paths.size());
    for (std::size_t part = 0; part < (same ? 1 : H.size()); ++part) {
      const std::int64_t n = std::count_if(paths.begin(), paths.end(), [&](const Path& p) { return belongs(p, part); }),
                         channels = H[part].algebraic_channels();
      std::int64_t first = n_parameters();
      if (n > 0) parameters.push_back({same ? "R" : message("R", part), {n, radials[0].width(), channels}});
      for (std::size_t p = 0; p < paths.size(); ++p)
        if (belongs(paths[p], part)) weights[p] = {first, channels}, first += radials[0].width() * channels;
    }
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  Couplings<Real> couplings;
  std::vector<Couplings<Real>> of_path;  // the same path by path
  int radial, n_radial, row = 0;         // row: numbers of the widest input part, padded
  std::vector<int> rows;                 // [path] numbers of its input part
  int n_species = 0;                     // of the table E in the place of an input; 0: there is an input
  std::ptrdiff_t table = 0;              // where E lies among the packed weights, [species][row]
  Layout<Real> of_species;
  struct Turn {
    int part, begin, size;  // of the output: two groups of `size` numbers, real parts and imaginary parts
  };
  std::vector<Turn> turns;  // multiplied by i

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace> places)
      : radial(places[0].set), n_radial(rule.radials[0].width()) {
    const Layout<Real> H = layout_of<Real>(rule.state(inputs));
    std::vector<Part> output;
    const std::vector<Path> paths = aggregation_paths(rule.state(inputs), rule.angular, rule.copies(), output);
    couplings = Couplings<Real>(paths, rule.angular.l_max, rule.scale);
    for (const Path& p : paths) {
      of_path.emplace_back(std::vector<Path>{p}, rule.angular.l_max, rule.scale);
      const Part& h = H[p.part1];
      rows.push_back(H.row(p.part1)), row = std::max(row, rows.back());
      if (h.complex && (p.l1 + p.l2 + p.l3) % 2)
        for (int size = padded<Real>(h.group), group = 0; group < h.groups; group += 2)
          turns.push_back({p.part3, p.slot * rows.back() + group * size, size});
    }

    // weights packed [register][path][n][lane], the same for real and imaginary part
    const std::int64_t P = std::int64_t(paths.size());
    const double scale = 1 / std::sqrt(double(n_radial));
    std::vector<std::vector<int>> channel_at(H.size());  // [part][number of a row]; -1: padding
    for (int part = 0; part < H.size(); ++part) {
      channel_at[part].assign(H.row(part), -1);
      for (int c = 0; c < H[part].channels(); ++c) channel_at[part][H.position(part, c)] = c;
    }
    for (int at = 0; at < row; at += w)
      for (int p = 0; p < P; ++p)
        for (int n = 0; n < n_radial; ++n)
          for (int lane = at; lane < at + w; ++lane) {
            const std::vector<int>& channel = channel_at[paths[p].part1];
            const int c = lane < int(channel.size()) ? channel[lane] : -1;
            if (c < 0) this->packing.zeros(1);
            else if (rule.all) this->packing.constants(p % rule.copies() == n ? 1 : 0, 1);
            else {
              const auto [first, channels] = rule.weights[p];
              this->packing.weight(first + n * channels + c % channels, scale);
            }
          }
    if (inputs.empty()) {
      of_species = H, table = this->packing.size(), n_species = int(rule.parameters[0].shape[0]);
      for (std::int64_t z = 0; z < n_species; ++z) {
        for (int c = 0; c < H[0].channels(); ++c) this->packing.weight(z * H[0].channels() + c, 1);
        this->packing.fill_to(table + (z + 1) * row);
      }
    }
  }

  /// T [path][group of registers][knot][register of the group] from C and the packed weights, in double
  std::shared_ptr<const RadialTable<Real>> tabulate(const std::vector<NetworkFunctions>& functions,
                                                    const PairsOfElements& pairs, const Real* packed) const override {
    if (n_radial < fewest_tabled) return nullptr;
    auto table = std::make_shared<RadialTable<Real>>();
    table->pairs = pairs;
    for (const NetworkFunctions& f : functions) {
      BSplines splines(f, RadialTable<Real>::bound, RadialTable<Real>::slope_bound);
      if (!splines.usable()) return nullptr;
      table->first_row.push_back(table->rows), table->rows += splines.rows();
      if (double(table_at(int(rows.size()), table->rows)) * sizeof(Real) > most_bytes_tabled) return nullptr;
      table->splines.push_back(std::move(splines));
    }
    table->weights.resize(table_at(int(rows.size()), table->rows));
    constexpr int group_w = table_group * w;
    for (int p = 0; p < int(rows.size()); ++p)
      for (int c = 0; c < rows[p]; c += w) {
        const int whole = c / group_w * group_w, step = std::min(rows[p] - whole, group_w);
        const Real* W = packed + weights_at(c, p);
        Real* to = table->weights.data() + table_at(p, table->rows) + std::ptrdiff_t(whole) * table->rows + c - whole;
        for (const BSplines& s : table->splines)
          for (int k = 0; k < s.rows(); ++k, to += step) {
            const double* C = s.row(k);
            double sum[w] = {};
            for (int n = 0; n < n_radial; ++n)
              for (int lane = 0; lane < w; ++lane) sum[lane] += C[n] * double(W[n * w + lane]);
            for (int lane = 0; lane < w; ++lane) to[lane] = Real(sum[lane]);
          }
      }
    return table;
  }

  template <class Lane> void forward(Block<Real>& b) const {
    if constexpr (!is_dual<Lane>)
      if (const RadialTable<Real>* table = b.edges->table(radial)) return forward_by(*table, b);
    const bool dual = is_dual<Lane>;
    const Edges<Real>& e = *b.edges;
    const Planes<Real> Y = b.edges->Y.planes(), B = b.edges->B[radial].planes();
    const int B_row = e.B_row(radial), M_size = couplings.size();
    const Planes<Real> M = b.scratch->take_planes(std::size_t(chunk) * M_size, dual),
                       weights = b.scratch->take_planes(2 * chunk * w, dual);
    const Children of = children<Lane>(b);
    const State<Real>& H = of.state;
    for (int i = 0; i < b.n; ++i) {
      if (b.first[i] == b.first[i + 1]) b.output.template clear<Lane>(i, 1);
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk) {
        const int n_children = int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0));
        contract<Lane>(couplings, n_children, Y + q0 * e.Y_row, e.Y_row, M);
        for_registers([&](int c, int p, int registers) {
          radial_weights<Lane>(b.weights + weights_at(c, p), weights_step(), registers, n_radial, B + q0 * B_row, B_row,
                               n_children, weights, 2 * w);
          const Path& path = couplings.paths[p];
          const int A_row = b.output.layout->row(path.part3);
          forward_path<Lane>(
              path, registers, q0 == b.first[i], of.child + q0, n_children, H.part(path.part1) + c, rows[p], M + path.M,
              M_size, weights, 2 * w,
              b.output.own(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * rows[p] + c),
              A_row);
        });
      }
    }
    turn<Lane>(b, false, 1);
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    if constexpr (!is_dual<Lane> && want == Want{true, false})
      if (const RadialTable<Real>* table = b.edges->table(radial)) return adjoint_by(*table, b);
    const bool dual = is_dual<Lane>;
    Edges<Real>& e = *b.edges;
    const Planes<Real> Y = e.Y.planes(), B = e.B[radial].planes(), Y_bar = e.Y_bar.planes(),
                       B_bar = e.B_bar[radial].planes();
    const int B_row = e.B_row(radial), P = int(couplings.paths.size()), M_size = couplings.size();
    const std::ptrdiff_t w_row = std::ptrdiff_t(P) * row;  // weights of one child: [path][channel]
    const std::size_t M_all = std::size_t(edges_at_once) * M_size;
    const Planes<Real> M = b.scratch->take_planes(M_all, dual);
    const Planes<Real> weights = b.scratch->take_planes(chunk * w_row, dual),
                       Gram = b.scratch->take_planes(M_all * w, dual);
    Children of = children<Lane>(b);
    if (n_species > 0) take_adjoint<Lane, want>(b, of.state);
    const State<Real>& H = of.state;
    turn<Lane>(b, true, -1);  // there and, in the end, back
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk) {
        const int n_children = int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0));
        // the weights once more: cheaper than keeping edges x channels from the forward sweep
        for_registers([&](int c, int p, int registers) {
          radial_weights<Lane>(b.weights + weights_at(c, p), weights_step(), registers, n_radial, B + q0 * B_row, B_row,
                               n_children, weights + (p * row + c), w_row);
        });
        for (int q = 0; q < n_children; q += edges_at_once) {
          const int n = std::min(edges_at_once, n_children - q);
          contract<Lane>(couplings, n, Y + (q0 + q) * e.Y_row, e.Y_row, M);
          for (int p = 0; p < P; ++p) {
            const Path& path = couplings.paths[p];
            const int A_row = b.output.layout->row(path.part3);
            const PathEdges<Real> some{n,
                                       of.child + q0 + q,
                                       of.child_bar + q0 + q,
                                       H.part(path.part1),
                                       H.part_bar(path.part1),
                                       M + path.M,
                                       Gram + std::ptrdiff_t(path.M) * w,
                                       M_size,
                                       weights + (q * w_row + p * row),
                                       w_row};
            adjoint_path<want.edges, Lane>(
                path, rows[p], some,
                b.output.own_bar(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * rows[p]),
                A_row);
          }
          if constexpr (want.edges) contract_adjoint<Lane>(couplings, n, Gram, Y_bar + (q0 + q) * e.Y_row, e.Y_row);
        }
        // w_bar now stands in place of w:  B_bar[q][n] += sum_pc W[p][n][c] w_bar[q][p][c],
        //                                  W_bar[p][n][c] += sum_q B[q][n] w_bar[q][p][c]
        if (this->wants_radial(want))
          radial_functions_adjoint<Lane>(b.weights, n_radial, rows, row, n_children, weights, B_bar + q0 * B_row,
                                         B_row);
        if constexpr (want.parameters)
          for_registers([&](int c, int p, int registers) {
            radial_weights_gradient<Lane>(b.weights_bar + weights_at(c, p), weights_step(), registers, n_radial,
                                          B + q0 * B_row, B_row, n_children, weights + (p * row + c), w_row);
          });
      }
    turn<Lane>(b, true, 1);
  }

 private:
  // By table: path outside, so that it stays near while all edges of the block pass.
  void forward_by(const RadialTable<Real>& table, Block<Real>& b) const {
    Edges<Real>& e = *b.edges;
    const Children of = children<Simd<Real>>(b);
    const std::int64_t begin = b.first[0], end = b.first[b.n];
    Real* const M = b.scratch->take(std::size_t(end - begin) * widest_M());
    for (int p = 0; p < int(rows.size()); ++p) {
      const Couplings<Real>& couplings = of_path[p];
      const Path& path = this->couplings.paths[p];
      const int M_size = couplings.size(), A_row = b.output.layout->row(path.part3), d3 = 2 * path.l3 + 1;
      couplings.forward(int(end - begin), e.Y.value.data() + begin * e.Y_row, e.Y_row, M);
      const TabledPath<Real> weights = tabled(table, p, e);
      const Real* const H = of.state.part(path.part1).value;
      Real* const A = b.output.own(path.part3).value + path.slot * rows[p];
      for (int c = 0; c < rows[p]; c += table_group * w)
        for (int i = 0; i < b.n; ++i) {
          const std::int64_t q = b.first[i];
          forward_path(path, rows[p], c, of.child + q, int(b.first[i + 1] - q), H, M + (q - begin) * M_size, M_size,
                       weights + q, A + std::ptrdiff_t(i) * d3 * A_row, A_row);
        }
    }
    turn<Simd<Real>>(b, false, 1);
  }
  void adjoint_by(const RadialTable<Real>& table, Block<Real>& b) const {
    using V = Simd<Real>;
    Edges<Real>& e = *b.edges;
    Children of = children<V>(b);
    if (n_species > 0) take_adjoint<V, Want{true, false}>(b, of.state);
    Real* const M = b.scratch->take(std::size_t(edges_at_once) * widest_M());
    Real* const Gram = b.scratch->take(std::size_t(edges_at_once) * widest_M() * w);
    turn<V>(b, true, -1);
    for (int p = 0; p < int(rows.size()); ++p) {
      const Couplings<Real>& couplings = of_path[p];
      const Path& path = this->couplings.paths[p];
      const int A_row = b.output.layout->row(path.part3), d3 = 2 * path.l3 + 1;
      const TabledPath<Real> weights = tabled(table, p, e);
      for (int i = 0; i < b.n; ++i) {
        Real* const A_bar = b.output.own_bar(path.part3).value + std::ptrdiff_t(i) * d3 * A_row + path.slot * rows[p];
        for (std::int64_t q = b.first[i]; q < b.first[i + 1]; q += edges_at_once) {
          const int n = int(std::min<std::int64_t>(edges_at_once, b.first[i + 1] - q));
          couplings.forward(n, e.Y.value.data() + q * e.Y_row, e.Y_row, M);
          const PathEdges<Real> some{n,
                                     of.child + q,
                                     of.child_bar + q,
                                     of.state.part(path.part1),
                                     of.state.part_bar(path.part1),
                                     {M, nullptr},
                                     {Gram, nullptr},
                                     couplings.size(),
                                     {},
                                     0};
          adjoint_path(path, rows[p], some, weights + q, A_bar, A_row);
          couplings.adjoint(n, registers<const Real>(Gram), e.Y_bar.value.data() + q * e.Y_row, e.Y_row);
        }
      }
    }
    turn<V>(b, true, 1);
  }
  TabledPath<Real> tabled(const RadialTable<Real>& table, int p, Edges<Real>& e) const {
    TableEdges<Real>& t = e.tables[radial];
    return {table.weights.data() + table_at(p, table.rows),
            table.rows,
            t.first.data(),
            t.N.data(),
            t.dN.data(),
            t.slope.data()};
  }
  /// Where the table of a path begins
  std::ptrdiff_t table_at(int p, int knots) const {
    std::ptrdiff_t at = 0;
    for (int k = 0; k < p; ++k) at += std::ptrdiff_t(rows[k]) * knots;
    return at;
  }
  /// Numbers in M of an edge, of the path that has most
  int widest_M() const {
    int most = 0;
    for (const Couplings<Real>& c : of_path) most = std::max(most, c.size());
    return most;
  }

  /// What the children of a block are read from: the input, or the table of species
  struct Children {
    State<Real> state;
    const std::int32_t *child, *child_bar;
  };
  template <class Lane> Children children(Block<Real>& b) const {
    if (n_species == 0) return {b.inputs[0], b.child, b.child_bar};
    State<Real> s;
    s.layout = &of_species, s.rows = s.bar_rows = n_species;
    s.x.value = const_cast<Real*>(b.weights) + table;  // read alone
    if constexpr (is_dual<Lane>) {
      s.x.dot = b.scratch->take(std::size_t(n_species) * row);
      fill(s.x.dot, std::ptrdiff_t(n_species) * row, 0);  // weights have no tangents
    }
    return {s, b.child_species, b.child_species};
  }
  /// The adjoint of the table is that of weights where these are wanted; else nobody reads it.
  template <class Lane, Want want> void take_adjoint(Block<Real>& b, State<Real>& s) const {
    const std::size_t size = std::size_t(n_species) * row;
    s.bar = b.scratch->take_planes(size, is_dual<Lane>);
    fill(s.bar.value, size, 0);
    if constexpr (is_dual<Lane>) fill(s.bar.dot, size, 0);
    if constexpr (want.parameters) (is_dual<Lane> ? s.bar.dot : s.bar.value) = b.weights_bar + table;
  }
  /// f(first channel, path, registers) for all channels of all paths, one or two registers at a time
  template <class F> void for_registers(F f) const {
    for (int c = 0; c < row; c += 2 * w)
      for (int p = 0; p < int(rows.size()); ++p)
        if (c < rows[p]) f(c, p, rows[p] - c > w ? 2 : 1);
  }
  /// Where the weights of a register and path begin among the packed ones, and how far it is to the next register's
  std::size_t weights_at(int c, int p) const { return (std::size_t(c / w) * rows.size() + p) * n_radial * w; }
  std::ptrdiff_t weights_step() const { return std::ptrdiff_t(rows.size()) * n_radial * w; }
  /// Multiplies the sums of imaginary couplings by i (sign 1) or -i, in what was written of the output or in its
  /// adjoint
  template <class Lane> void turn(Block<Real>& b, bool bar, Real sign) const {
    for (const Turn& t : turns) {
      const std::ptrdiff_t row = b.output.layout->row(t.part), n = b.n * (*b.output.layout)[t.part].dim();
      for (std::ptrdiff_t k = 0; k < n; ++k)
        for (int c = 0; c < t.size; c += w) {
          const Planes<Real> re = (bar ? b.output.own_bar(t.part) : b.output.own(t.part)) + (k * row + t.begin + c),
                             im = re + t.size;
          const Lane x = load<Lane>(re, 0), y = load<Lane>(im, 0);
          if (bar) store(re, 0, product(-sign, y)), store(im, 0, product(sign, x));
          else put(re, 0, product(-sign, y)), put(im, 0, product(sign, x));
        }
    }
  }
};

}  // namespace

NB_GATE(zeroth_order,
        "Aggregation of children (eq. 10): A = sum_j C Y(r_ij) w(|r_ij|) H_j, one group of channels per path")

}  // namespace nbcore
