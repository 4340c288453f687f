// The zeroth-order gate with weights that know both ends of an edge: the edge network of Cormorant (Anderson, Hy and
// Kondor 2019). Parent i and child j compare their states of all levels so far, channel by channel,
//
//   X[ij]       = ( B_n(r_ij),  env(r_ij) sum_m F^t_lm[i][k] F^t_lm[j][k] for all inputs t, parts l and channels k )
//   w[ij][l2]   = X[ij] W_l2
//   A[i][p][m3][c] = sum over children j, sum over m1, m2 of  C_p[m1][m2][m3] Y_l2m2(r_ij) w[ij][l2][c] F^0[j][m1][c]
//
// with the paths p = (part of F^0, l2, l3) of zeroth_order: those of one l2 share a weight. Weights of some edges at a
// time are one small matrix product, and as nothing of an edge is kept from level to level, none outlives the scratch.
#include <algorithm>
#include <cmath>
#include <optional>

#include "gates/gate.hpp"
#include "ops/aggregation.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 3, 0, max_l_network, "largest l of the harmonics"),
    whole("l_min", 0, 0, "l_max", "smallest l of the harmonics"),
    whole("l_out", "l_max", 0, max_l_network, "largest l of the output"),
    radial_functions("radial basis; its envelope weights the scalar products, too"),
    real("scale", 1.0, "factor of the sum"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::children;
  Angular angular;
  double scale;
  std::int64_t n_l2, n_radial, n_dots = 0;  // numbers of l2, of radial functions, of scalar products

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : angular{o.whole("l_max"), o.whole("l_min"), 1, o.whole("l_out"), around.o3},
        scale(o.real("scale")),
        n_l2(angular.l_max - angular.l_min + 1) {
    if (inputs.empty()) throw InputError("it takes states as inputs, the first of them to be summed over children");
    check_same_channels("", inputs[0]);
    if (!around.own_children)
      throw InputError("it reads states at both ends of an edge, so parents and children must be of one set");
    if (inputs[0][0].complex) throw InputError("states must be real");
    const Radial basis = radial_of(o);
    Radial constant = basis.basis_alone();  // times the envelope of the basis
    constant.basis = Basis::chebyshev, constant.n = 1, constant.smoothness = 0, constant.decay = 0;
    radials = {basis, constant}, l_harmonics = angular.l_max, n_radial = basis.width();
    count_terms(std::int64_t(aggregation_paths(inputs[0], angular, 1, output).size()));
    for (std::span<const Part> parts : inputs) {
      count_terms(std::int64_t(parts.size()));
      for (const Part& p : parts) n_dots += p.channels();
    }
    parameters.push_back({"R", {n_l2, n_radial, inputs[0][0].channels()}});
    parameters.push_back({"V", {n_l2, n_dots, inputs[0][0].channels()}});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>, chunk = 16;  // children of a parent whose X and w are in scratch at a time
  Couplings<Real> couplings;
  int radial, envelope, l_min;
  int row;                               // channels of a part of F^0, padded
  int K, N;                              // W [K][N]: numbers in a row of X and of w
  std::vector<std::vector<int>> column;  // [input][part] where its dots begin in X

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace> places)
      : radial(places[0].set), envelope(places[1].set), l_min(rule.angular.l_min) {
    std::vector<Part> output;
    couplings = Couplings<Real>(aggregation_paths(inputs[0], rule.angular, 1, output), rule.angular.l_max, rule.scale);
    const int channels = inputs[0][0].channels(), n_radial = int(rule.n_radial);
    row = padded<Real>(channels), N = int(rule.n_l2) * row, K = padded<Real>(n_radial);
    struct Row {  // of W: its first parameter, the distance to the next l2
      std::int64_t first, stride;
      double scale;
    };
    std::vector<std::optional<Row>> rows(K);
    for (int n = 0; n < n_radial; ++n)
      rows[n] = {std::int64_t(n) * channels, std::int64_t(n_radial) * channels, 1 / std::sqrt(double(n_radial))};
    std::int64_t at = rule.parameters[0].size();
    for (std::span<const Part> parts : inputs) {
      const Layout<Real> layout = layout_of<Real>(parts);
      column.emplace_back();
      for (int p = 0; p < layout.size(); ++p) {
        column.back().push_back(K), K += layout.row(p), rows.resize(K);
        for (int k = 0; k < layout[p].channels(); ++k, at += channels)
          rows[column.back()[p] + layout.position(p, k)] = {at, rule.n_dots * channels,
                                                            1 / std::sqrt(double(rule.n_dots * layout[p].dim()))};
      }
    }
    const auto place = [&](Packing& to, int k, int n) {
      if (!rows[k] || n % row >= channels) to.zeros(1);
      else to.weight(rows[k]->first + n / row * rows[k]->stride + n % row, rows[k]->scale);
    };
    each_packed<Real>(K, N, [&](int k, int n) { place(this->packing, k, n); });
    each_packed<Real>(N, K, [&](int n, int k) { place(this->copies, k, n); });
  }

  template <class Lane> void forward(Block<Real>& b) const {
    constexpr bool dual = is_dual<Lane>;
    const Edges<Real>& e = *b.edges;
    const Planes<Real> Y = b.edges->Y.planes();
    const int M_size = couplings.size();
    const Planes<Real> M = b.scratch->take_planes(std::size_t(chunk) * M_size, dual);
    const Planes<Real> X = b.scratch->take_planes(std::size_t(chunk) * K, dual),
                       weights = b.scratch->take_planes(std::size_t(chunk) * N, dual);
    b.output.template clear<Lane>(0, b.n);
    each_chunk(b, [&](int i, std::int64_t q0, int n_children) {
      contract<Lane>(couplings, n_children, Y + q0 * e.Y_row, e.Y_row, M);
      edge_weights<Lane>(b, i, q0, n_children, X, weights);
      for (const Path& path : couplings.paths) {
        const int A_row = b.output.layout->row(path.part3);
        const Planes<Real> A =
            b.output.own(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * row);
        forward_path<Lane>(path, row / w, false, b.child + q0, n_children, b.inputs[0].part(path.part1), row,
                           M + path.M, M_size, weights + (path.l2 - l_min) * row, N, A, A_row);
      }
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    constexpr bool dual = is_dual<Lane>;
    const Edges<Real>& e = *b.edges;
    const Planes<Real> Y = b.edges->Y.planes(), Y_bar = b.edges->Y_bar.planes();
    const int M_size = couplings.size();
    const Planes<Real> M = b.scratch->take_planes(M_size, dual),
                       Gram = b.scratch->take_planes(std::size_t(M_size) * w, dual);
    const Planes<Real> X = b.scratch->take_planes(std::size_t(chunk) * K, dual),
                       X_bar = b.scratch->take_planes(std::size_t(chunk) * K, dual),
                       weights = b.scratch->take_planes(std::size_t(chunk) * N, dual),
                       weights_bar = b.scratch->take_planes(std::size_t(chunk) * N, dual),
                       of_path = b.scratch->take_planes(row, dual);
    const State<Real>& H = b.inputs[0];
    each_chunk(b, [&](int i, std::int64_t q0, int n_children) {
      edge_weights<Lane>(b, i, q0, n_children, X, weights);  // once more: cheaper than keeping them
      clear<Lane>(weights_bar, std::size_t(n_children) * N);
      for (int q = 0; q < n_children; ++q) {
        contract<Lane>(couplings, 1, Y + (q0 + q) * e.Y_row, e.Y_row, M);
        for (const Path& path : couplings.paths) {
          const int A_row = b.output.layout->row(path.part3);
          const std::ptrdiff_t at = std::ptrdiff_t(q) * N + (path.l2 - l_min) * row;
          for (int c = 0; c < row; c += w) store(of_path, c, load<Lane>(weights, at + c));
          const PathEdges<Real> one{1,
                                    b.child + q0 + q,
                                    b.child_bar + q0 + q,
                                    H.part(path.part1),
                                    H.part_bar(path.part1),
                                    M + path.M,
                                    Gram + std::ptrdiff_t(path.M) * w,
                                    M_size,
                                    of_path,
                                    0};
          adjoint_path<want.edges, Lane>(
              path, row, one,
              b.output.own_bar(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * row), A_row);
          for (int c = 0; c < row; c += w) {  // now w_bar stands there
            Lane sum = load<Lane>(weights_bar, at + c);
            add_product(sum, Real(1), load<Lane>(of_path, c));
            store(weights_bar, at + c, sum);
          }
        }
        if constexpr (want.edges) contract_adjoint<Lane>(couplings, 1, Gram, Y_bar + (q0 + q) * e.Y_row, e.Y_row);
      }
      edge_weights_adjoint<Lane, want>(b, i, q0, n_children, X, X_bar, weights_bar);
    });
  }

 private:
  /// f(parent, its first edge of the chunk, edges of the chunk)
  template <class F> void each_chunk(const Block<Real>& b, F f) const {
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk)
        f(i, q0, int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0)));
  }
  template <class Lane> static void clear(Planes<Real> x, std::size_t n) {
    fill(x.value, n, 0);
    if constexpr (is_dual<Lane>) fill(x.dot, n, 0);
  }
  /// f(input, part, components, channels of a row, first column in X)
  template <class F> void each_part(const Block<Real>& b, F f) const {
    for (std::size_t t = 0; t < column.size(); ++t)
      for (std::size_t p = 0; p < column[t].size(); ++p) {
        const Layout<Real>& layout = *b.inputs[t].layout;
        f(b.inputs[t], int(p), layout[int(p)].dim(), layout.row(int(p)), column[t][p]);
      }
  }

  /// X and w = X W of the children q0 .. q0 + n_children - 1 of parent i
  template <class Lane> void edge_weights(Block<Real>& b, int i, std::int64_t q0, int n_children, Planes<Real> X,
                                          Planes<Real> weights) const {
    using Scalar = ScalarOf<Lane>;
    const int B_row = b.edges->B_row(radial), env_row = b.edges->B_row(envelope);
    const Planes<Real> B = b.edges->B[radial].planes(), env = b.edges->B[envelope].planes();
    for (int q = 0; q < n_children; ++q) {
      const Planes<Real> X_q = X + std::ptrdiff_t(q) * K;
      for (int n = 0; n < B_row; n += w) store(X_q, n, load<Lane>(B, (q0 + q) * B_row + n));
      const Scalar env_q = load_scalar<Scalar>(env, (q0 + q) * env_row);
      each_part(b, [&](const State<Real>& F, int p, int d, int F_row, int to) {
        const Planes<Real> F_i = F.own(p) + std::ptrdiff_t(i) * d * F_row,
                           F_j = F.part(p) + std::ptrdiff_t(b.child[q0 + q]) * d * F_row;
        for (int c = 0; c < F_row; c += w) {
          Lane dot{};
          for (int m = 0; m < d; ++m) add_product(dot, load<Lane>(F_i, m * F_row + c), load<Lane>(F_j, m * F_row + c));
          store(X_q, to + c, product(env_q, dot));
        }
      });
    }
    mix<false>(X.value, K, b.weights, weights.value, N, n_children, K, N);
    if constexpr (is_dual<Lane>) mix<false>(X.dot, K, b.weights, weights.dot, N, n_children, K, N);
  }

  template <class Lane, Want want> void edge_weights_adjoint(Block<Real>& b, int i, std::int64_t q0, int n_children,
                                                             Planes<Real> X, Planes<Real> X_bar,
                                                             Planes<Real> weights_bar) const {
    using Scalar = ScalarOf<Lane>;
    mix<false>(weights_bar.value, N, b.copies, X_bar.value, K, n_children, N, K);
    if constexpr (is_dual<Lane>) mix<false>(weights_bar.dot, N, b.copies, X_bar.dot, K, n_children, N, K);
    if constexpr (want.parameters) {
      if constexpr (is_dual<Lane>) {
        mix_gradient<2, Real>({{X.dot, weights_bar.value}, {X.value, weights_bar.dot}}, K, N, b.weights_bar, n_children,
                              K, N);
      } else {
        mix_gradient(X.value, K, weights_bar.value, N, b.weights_bar, n_children, K, N);
      }
    }
    const int B_row = b.edges->B_row(radial), env_row = b.edges->B_row(envelope);
    const Planes<Real> B_bar = b.edges->B_bar[radial].planes(), env = b.edges->B[envelope].planes(),
                       env_bar = b.edges->B_bar[envelope].planes();
    for (int q = 0; q < n_children; ++q) {
      const Planes<Real> X_q = X_bar + std::ptrdiff_t(q) * K;
      if (this->wants_radial(want))
        for (int n = 0; n < B_row; n += w) add<Lane>(B_bar, (q0 + q) * B_row + n, load<Lane>(X_q, n));
      const Scalar env_q = load_scalar<Scalar>(env, (q0 + q) * env_row);
      Lane env_sum{};
      each_part(b, [&](const State<Real>& F, int p, int d, int F_row, int from) {
        const std::ptrdiff_t at_i = std::ptrdiff_t(i) * d * F_row, size = std::ptrdiff_t(d) * F_row;
        const Planes<Real> F_i = F.own(p) + at_i, F_j = F.part(p) + b.child[q0 + q] * size;
        const Planes<Real> F_i_bar = F.own_bar(p) + at_i, F_j_bar = F.part_bar(p) + b.child_bar[q0 + q] * size;
        for (int c = 0; c < F_row; c += w) {
          const Lane x_bar = load<Lane>(X_q, from + c), dot_bar = product(env_q, x_bar);
          Lane dot{};
          for (int m = 0; m < d; ++m) {
            const Lane f_i = load<Lane>(F_i, m * F_row + c), f_j = load<Lane>(F_j, m * F_row + c);
            if constexpr (want.edges) add_product(dot, f_i, f_j);
            add<Lane>(F_i_bar, m * F_row + c, product(dot_bar, f_j));
            add<Lane>(F_j_bar, m * F_row + c, product(dot_bar, f_i));  // may be the same place: an image of i
          }
          if constexpr (want.edges) add_product(env_sum, x_bar, dot);
        }
      });
      if constexpr (want.edges) {
        Simd<Real> value[w] = {value_of(env_sum)};
        add_lane_sums<Real>(value, 1, env_bar.value + (q0 + q) * env_row);
        if constexpr (is_dual<Lane>) {
          Simd<Real> dot[w] = {env_sum.dot};
          add_lane_sums<Real>(dot, 1, env_bar.dot + (q0 + q) * env_row);
        }
      }
    }
  }
  template <class Lane> NB_INLINE static void add(Planes<Real> x, std::ptrdiff_t k, Lane a) {
    Lane sum = load<Lane>(x, k);
    add_product(sum, Real(1), a);
    store(x, k, sum);
  }
};

}  // namespace

NB_GATE(zeroth_order_dots,
        "Aggregation of children with weights from scalar products of parent's and child's states (Cormorant)")

}  // namespace nbcore
