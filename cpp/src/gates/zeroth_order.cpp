// The zeroth-order gate (eq. 10), fused: children's states times harmonics, summed over children.
//
//   A[i][p][m3][c] = sum over children j of i, sum over m1, m2 of  C_p[m1][m2][m3] Y_l2m2(r_ij) w_p[ij][c] H[j][m1][c]
//   w_p[ij][c]     = sum_n W[p][n][c] B_n(r_ij)
//
// Paths p = (part of H, l2, l3). Output part l3 has one group of channels per path (radial "mix"), or with radial "all"
// one group per path and radial function, w = B_n, no parameters: the sums over s of eq. (10) kept apart, to the
// letter.
//
//   forward   channel register outside, then path, then children; the 2l3+1 sums stay in registers
//   adjoint   edge outside, then path, then channel registers; the Gram matrix A_bar (w H) stays in registers, and one
//             transposed reduction per edge turns it into M_bar, Y_bar
//
// Nothing of size edges x channels leaves the scratch of one parent.
#include "gates/gate.hpp"
#include "ops/coupling.hpp"

namespace nbcore {

namespace {
constexpr int chunk = 32;  // children whose weights and couplings are in scratch at a time

/// w[q] = sum_n W[n] B[q][n] for the children of a chunk. W [n_radial] registers; w with stride w_row (numbers)
template <class Lane, class Real> NB_INLINE void radial_weights(const Real* W, int n_radial, Planes<Real> B, int B_row,
                                                                int n_children, Planes<Real> weights,
                                                                std::ptrdiff_t w_row) {
  using V = Simd<Real>;
  using Scalar = ScalarOf<Lane>;
  const V* W_n = reinterpret_cast<const V*>(W);
  for (int q = 0; q < n_children; ++q) {
    Lane sum = product(W_n[0], load_scalar<Scalar>(B, q * B_row));
    for (int n = 1; n < n_radial; ++n) add_product(sum, W_n[n], load_scalar<Scalar>(B, q * B_row + n));
    store(weights, q * w_row, sum);
  }
}

/// One path, one register of channels: A[m3] += sum over q of M[q][m3][m1] (w[q] H[child q][m1]).
/// Sizes 0 are run-time sizes d3_, d1_. H stands at the register; H_node: numbers per node of the part
template <int d3_, int d1_, class Lane, class Real>
[[gnu::noinline]] void forward_path([[maybe_unused]] int d3_run, int d1_run, const std::int32_t* child, int n_children,
                                    Planes<Real> H, int H_row, Planes<Real> M, int M_size, Planes<Real> weights,
                                    Planes<Real> A, int A_row) {
  using Scalar = ScalarOf<Lane>;
  constexpr int max_d = 2 * max_l_network + 1;
  const int d1 = d1_ ? d1_ : d1_run;
  Lane sum[d3_ ? d3_ : max_d];
  repeat<d3_>(d3_run, [&](int m3) { sum[m3] = load<Lane>(A, m3 * A_row); });
  for (int q = 0; q < n_children; ++q) {
    const Planes<Real> H_q = H + std::ptrdiff_t(child[q]) * d1 * H_row, M_q = M + std::ptrdiff_t(q) * M_size;
    const Lane w = load<Lane>(weights, q * width<Real>);
    Lane wH[d1_ ? d1_ : max_d];
    repeat<d1_>(d1, [&](int m1) { wH[m1] = product(w, load<Lane>(H_q, m1 * H_row)); });
    repeat<d3_>(d3_run, [&](int m3) {
      repeat<d1_>(d1, [&](int m1) { add_product(sum[m3], wH[m1], load_scalar<Scalar>(M_q, m3 * d1 + m1)); });
    });
  }
  repeat<d3_>(d3_run, [&](int m3) { store(A, m3 * A_row, sum[m3]); });
}

/// One edge, one path, all channels: H_bar[m1] += w t[m1], t[m1] = sum_m3 M[m3][m1] A_bar[m3]; w becomes w_bar = sum_m1
/// t H; with edges, Gram[m3][m1] = A_bar[m3] (w H[m1]), summed over registers but not over their lanes.
template <int d3_, int d1_, bool edges, class Lane, class Real>
[[gnu::noinline]] void adjoint_path([[maybe_unused]] int d3_run, int d1_run, int n_channels, Planes<Real> H,
                                    Planes<Real> H_bar, Planes<Real> M, Planes<Real> A_bar, int A_row,
                                    Planes<Real> weights, Planes<Real> Gram) {
  using Scalar = ScalarOf<Lane>;
  constexpr int max_d = 2 * max_l_network + 1, w = width<Real>;
  const int d1 = d1_ ? d1_ : d1_run;
  Lane G[edges ? (d3_ ? d3_ * d1_ : max_d * max_d) : 1];
  if constexpr (edges) repeat<d3_ * d1_>(d3_run * d1, [&](int k) { G[k] = Lane{}; });
  for (int c = 0; c < n_channels; c += w) {
    const Lane w_c = load<Lane>(weights, c);
    Lane t[d1_ ? d1_ : max_d], h[d1_ ? d1_ : max_d], wH[d1_ ? d1_ : max_d], w_bar{};
    repeat<d1_>(d1, [&](int m1) {
      t[m1] = Lane{}, h[m1] = load<Lane>(H, m1 * n_channels + c);
      if constexpr (edges) wH[m1] = product(w_c, h[m1]);
    });
    repeat<d3_>(d3_run, [&](int m3) {
      const Lane a = load<Lane>(A_bar, m3 * A_row + c);
      repeat<d1_>(d1, [&](int m1) {
        add_product(t[m1], a, load_scalar<Scalar>(M, m3 * d1 + m1));
        if constexpr (edges) add_product(G[m3 * d1 + m1], a, wH[m1]);
      });
    });
    repeat<d1_>(d1, [&](int m1) {
      add_product(w_bar, t[m1], h[m1]);
      Lane h_bar = load<Lane>(H_bar, m1 * n_channels + c);
      add_product(h_bar, w_c, t[m1]);
      store(H_bar, m1 * n_channels + c, h_bar);
    });
    store(weights, c, w_bar);
  }
  if constexpr (edges) repeat<d3_ * d1_>(d3_run * d1, [&](int k) { store(Gram, k * w, G[k]); });
}

/// f.template operator()<2l3+1, 2l1+1>() with compile-time sizes where they are common, <0, 0> else
template <class F> NB_INLINE void with_sizes(int l3, int l1, F f) {
  if (l3 > 3 || l1 > 2) return f.template operator()<0, 0>();
  switch (3 * l3 + l1) {
    case 0:
      return f.template operator()<1, 1>();
    case 1:
      return f.template operator()<1, 3>();
    case 2:
      return f.template operator()<1, 5>();
    case 3:
      return f.template operator()<3, 1>();
    case 4:
      return f.template operator()<3, 3>();
    case 5:
      return f.template operator()<3, 5>();
    case 6:
      return f.template operator()<5, 1>();
    case 7:
      return f.template operator()<5, 3>();
    case 8:
      return f.template operator()<5, 5>();
    case 9:
      return f.template operator()<7, 1>();
    case 10:
      return f.template operator()<7, 3>();
    case 11:
      return f.template operator()<7, 5>();
  }
}
}  // namespace

template <class Real> class ZerothOrder : public GateOf<ZerothOrder<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  Couplings<Real> couplings;
  int radial, n_radial, channels, row;  // row: channels of one group, padded

 public:
  ZerothOrder(const Options& spec, const std::vector<std::vector<Part>>& inputs, Surroundings& around) {
    if (inputs.size() != 1) throw InputError("gate zeroth_order: takes one input, the state of the children");
    this->aggregates = true;
    const int l_max = spec.whole("l_max", 3, 0, max_l_network), l_out = spec.whole("l_out", l_max, 0, max_l_network);
    const int l_min = spec.whole("l_min", 0, 0, l_max);
    const std::string mode = spec.get<std::string>("radial_mode", "mix");
    if (mode != "mix" && mode != "all")
      throw InputError(message("gate zeroth_order: radial_mode must be \"mix\" or \"all\", got \"", mode, "\""));
    const Radial basis = radial_option(spec);
    radial = around.radial(basis), n_radial = basis.n;
    around.l_harmonics = std::max(around.l_harmonics, l_max);
    const int copies = mode == "all" ? n_radial : 1;

    channels = inputs[0].empty() ? 0 : inputs[0][0].channels();
    row = padded<Real>(channels);
    std::map<std::pair<int, int>, int> slots;  // (l3, parity) -> groups
    std::vector<Path> paths;
    for (int l2 = l_min; l2 <= l_max; ++l2)
      for (int part = 0; part < int(inputs[0].size()); ++part) {
        const Part& h = inputs[0][part];
        if (h.groups != 1 || h.group != channels)
          throw InputError("gate zeroth_order: all parts of the input must have the same channels");
        const int parity = h.parity * (l2 % 2 ? -1 : 1);
        for (int l3 = std::abs(h.l - l2); l3 <= std::min(h.l + l2, l_out); ++l3) {
          if (around.o3 && parity != (l3 % 2 ? -1 : 1)) continue;  // natural parity
          for (int copy = 0; copy < copies; ++copy) paths.push_back({part, h.l, l2, l3, 0, slots[{l3, parity}]++, 0});
        }
      }
    if (paths.empty()) throw InputError("gate zeroth_order: no path leads to l <= l_out");
    std::map<int, int> part_of;
    for (const auto& [type, groups] : slots) {
      part_of[type.first] = int(this->output.size());
      this->output.push_back({type.first, type.second, groups, channels});
    }
    for (Path& p : paths) p.part3 = part_of[p.l3];
    couplings = Couplings<Real>(paths, l_max, spec.get("scale", 1.0));

    // weights packed [register][path][n][lane]
    const int P = int(paths.size());
    this->packing.resize(std::size_t(row) * P * n_radial);
    if (mode == "mix") this->parameters.push_back({"R", {P, n_radial, channels}});
    for (int p = 0; p < P; ++p)
      for (int n = 0; n < n_radial; ++n)
        for (int c = 0; c < channels; ++c) {
          Packed& to = this->packing[(std::size_t(c / w * P + p) * n_radial + n) * w + c % w];
          if (mode == "mix") to = {(std::int64_t(p) * n_radial + n) * channels + c, 1 / std::sqrt(double(n_radial))};
          else to = {-1, p % copies == n ? 1.0 : 0.0};
        }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const bool dual = is_dual<Lane>;
    const Edges<Real>& e = *b.edges;
    const Planes<Real> Y = b.edges->Y.planes(), B = b.edges->B[radial].planes();
    const int B_row = e.B_row(radial), P = int(couplings.paths.size()), M_size = couplings.size();
    const Planes<Real> M = b.scratch->take_planes(std::size_t(chunk) * M_size, dual),
                       weights = b.scratch->take_planes(chunk * w, dual);
    const State<Real>& H = b.inputs[0];
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const std::size_t size = std::size_t(b.n) * (*b.output.layout)[p].dim() * b.output.layout->row(p);
      std::memset(b.output.own(p).value, 0, size * sizeof(Real));
      if constexpr (is_dual<Lane>) std::memset(b.output.own(p).dot, 0, size * sizeof(Real));
    }
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk) {
        const int n_children = int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0));
        for (int q = 0; q < n_children; ++q) contract<Lane>(Y + (q0 + q) * e.Y_row, M + std::ptrdiff_t(q) * M_size);
        for (int c = 0; c < row; c += w)
          for (int p = 0; p < P; ++p) {
            const Path& path = couplings.paths[p];
            radial_weights<Lane>(b.weights + (std::size_t(c / w) * P + p) * n_radial * w, n_radial, B + q0 * B_row,
                                 B_row, n_children, weights, w);
            const int A_row = b.output.layout->row(path.part3);
            const Planes<Real> A =
                b.output.own(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * row + c);
            with_sizes(path.l3, path.l1, [&]<int d3, int d1>() {
              forward_path<d3, d1, Lane>(2 * path.l3 + 1, 2 * path.l1 + 1, b.child + q0, n_children,
                                         H.part(path.part1) + c, row, M + path.M, M_size, weights, A, A_row);
            });
          }
      }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    const bool dual = is_dual<Lane>;
    Edges<Real>& e = *b.edges;
    const Planes<Real> Y = e.Y.planes(), B = e.B[radial].planes(), Y_bar = e.Y_bar.planes(),
                       B_bar = e.B_bar[radial].planes();
    const int B_row = e.B_row(radial), P = int(couplings.paths.size()), M_size = couplings.size();
    const std::ptrdiff_t w_row = std::ptrdiff_t(P) * row;  // weights of one child: [path][channel]
    const Planes<Real> M = b.scratch->take_planes(M_size, dual), M_bar = b.scratch->take_planes(M_size, dual);
    const Planes<Real> weights = b.scratch->take_planes(chunk * w_row, dual),
                       Gram = b.scratch->take_planes(std::size_t(M_size) * w, dual);
    std::memset(Gram.value, 0, sizeof(Real) * M_size * w);  // gaps between l2 stay zero
    if (dual) std::memset(Gram.dot, 0, sizeof(Real) * M_size * w);
    const State<Real>& H = b.inputs[0];
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk) {
        const int n_children = int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0));
        // the weights once more: cheaper than keeping edges x channels from the forward sweep
        for (int c = 0; c < row; c += w)
          for (int p = 0; p < P; ++p)
            radial_weights<Lane>(b.weights + (std::size_t(c / w) * P + p) * n_radial * w, n_radial, B + q0 * B_row,
                                 B_row, n_children, weights + (p * row + c), w_row);
        for (int q = 0; q < n_children; ++q) {
          contract<Lane>(Y + (q0 + q) * e.Y_row, M);
          for (int p = 0; p < P; ++p) {
            const Path& path = couplings.paths[p];
            const int A_row = b.output.layout->row(path.part3), d1 = 2 * path.l1 + 1;
            with_sizes(path.l3, path.l1, [&]<int d3, int d1_>() {
              adjoint_path<d3, d1_, want.edges, Lane>(
                  2 * path.l3 + 1, d1, row, H.part(path.part1) + std::ptrdiff_t(b.child[q0 + q]) * d1 * row,
                  H.part_bar(path.part1) + std::ptrdiff_t(b.child_bar[q0 + q]) * d1 * row, M + path.M,
                  b.output.own_bar(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * row),
                  A_row, weights + (q * w_row + p * row), Gram + std::ptrdiff_t(path.M) * w);
            });
          }
          if constexpr (want.edges) {
            for (int k = 0; k < M_size; k += w) {
              reduce(Gram.value + std::ptrdiff_t(k) * w, M_bar.value + k);
              if constexpr (is_dual<Lane>) reduce(Gram.dot + std::ptrdiff_t(k) * w, M_bar.dot + k);
            }
            couplings.adjoint(M_bar.value, Y_bar.value + (q0 + q) * e.Y_row);
            if constexpr (is_dual<Lane>) couplings.adjoint(M_bar.dot, Y_bar.dot + (q0 + q) * e.Y_row);
          }
        }
        // w_bar now stands in place of w:  B_bar[q][n] += sum_pc W[p][n][c] w_bar,  W_bar[p][n][c] += sum_q B[q][n]
        // w_bar
        if constexpr (want.edges)
          for (int q = 0; q < n_children; ++q) {
            V value[max_radial + w] = {}, dot[max_radial + w] = {};
            for (int c = 0; c < row; c += w)
              for (int p = 0; p < P; ++p) {
                const V* W = reinterpret_cast<const V*>(b.weights + (std::size_t(c / w) * P + p) * n_radial * w);
                const Lane w_bar = load<Lane>(weights, q * w_row + p * row + c);
                for (int n = 0; n < n_radial; ++n) {
                  value[n] += W[n] * value_of(w_bar);
                  if constexpr (is_dual<Lane>) dot[n] += W[n] * w_bar.dot;
                }
              }
            add_lane_sums<Real>(value, n_radial, B_bar.value + (q0 + q) * B_row);
            if constexpr (is_dual<Lane>) add_lane_sums<Real>(dot, n_radial, B_bar.dot + (q0 + q) * B_row);
          }
        if constexpr (want.parameters)
          for (int c = 0; c < row; c += w)
            for (int p = 0; p < P; ++p) {
              V* W_bar = reinterpret_cast<V*>(b.weights_bar + (std::size_t(c / w) * P + p) * n_radial * w);
              V sum[max_radial];
              for (int n = 0; n < n_radial; ++n) sum[n] = W_bar[n];
              for (int q = 0; q < n_children; ++q) {
                const Lane w_bar = load<Lane>(weights, q * w_row + p * row + c);
                for (int n = 0; n < n_radial; ++n)
                  add_gradient(sum[n], w_bar, load_scalar<Scalar>(B, (q0 + q) * B_row + n));
              }
              for (int n = 0; n < n_radial; ++n) W_bar[n] = sum[n];
            }
      }
  }

 private:
  template <class Lane> void contract(Planes<Real> Y, Planes<Real> M) const {
    couplings.forward(Y.value, M.value);
    if constexpr (is_dual<Lane>) couplings.forward(Y.dot, M.dot);
  }
  static void reduce(const Real* registers, Real* sums) {
    V group[w];
    NB_UNROLL for (int k = 0; k < w; ++k) group[k] = reinterpret_cast<const V*>(registers)[k];
    *reinterpret_cast<V*>(sums) = transposed_sum(group);
  }
};

NB_GATE(ZerothOrder, "zeroth_order", "Aggregation of children (eq. 10): A = sum_j C Y(r_ij) w(|r_ij|) H_j, one group of channels per path", R"({
  "l_max": {"type": "int", "default": 3, "doc": "largest l of the harmonics"},
  "l_min": {"type": "int", "default": 0, "doc": "smallest l of the harmonics"},
  "l_out": {"type": "int", "default": 3, "doc": "largest l of the output"},
  "radial": {"type": "radial", "default": {}, "doc": "radial basis"},
  "radial_mode": {"type": "str", "default": "mix", "doc": "mix: weights over the radial functions, per path and channel; all: one group of channels per radial function"},
  "scale": {"type": "float", "default": 1.0, "doc": "factor of the sum"}})")

}  // namespace nbcore
