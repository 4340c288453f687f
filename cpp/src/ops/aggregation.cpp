// The kernels of aggregation.hpp, compiled once for all gates: templates on the sizes 2l3+1 and 2l1+1 up to l = 3, so
// that the sums of a path stay in registers, and <0, 0> with run-time sizes above.
#include "ops/aggregation.hpp"

namespace nbcore {

namespace {

constexpr int max_d = 2 * max_l_network + 1;

/// Weights that were computed before: [edge][w_row]
template <class Lane, class Real> struct GivenWeights {
  Planes<Real> weights;
  std::ptrdiff_t w_row;
  NB_INLINE Lane forward(int q, int r) const { return load<Lane>(weights, q * w_row + r * width<Real>); }

  struct Edge {
    Planes<Real> weights;
    NB_INLINE Lane at(int c) { return load<Lane>(weights, c); }
    NB_INLINE void take(int c, Lane w_bar) { store(weights, c, w_bar); }
    NB_INLINE void end() {}
  };
  NB_INLINE Edge edge(int q) const { return {weights + q * w_row}; }
};

/// Weights from a table, as they are wanted. `group`: registers of a row of the table
template <class Real> struct TabledWeights {
  using V = Simd<Real>;
  static constexpr int active = BSplines::active;
  const TabledPath<Real>& of;
  Registers<const Real> T;  // forward: at the first register
  int group;
  NB_INLINE V forward(int q, int r) const {
    const auto row = T + (std::ptrdiff_t(of.first[q]) * group + r);
    const Real* N = of.N + q * active;
    V sum = row[0] * N[0];
    NB_UNROLL for (int k = 1; k < active; ++k) sum += row[k * group] * N[k];
    return sum;
  }

  struct Edge {
    Registers<const Real> T;
    std::int32_t first;
    int knots, n_channels;
    const Real *N, *dN;
    Registers<Real> slope_sum;
    V slope{}, sum{};
    NB_INLINE V at(int c) {
      constexpr int w = width<Real>, group_w = table_group * w;
      const int whole = c / group_w, in_group = n_channels - whole * group_w >= group_w ? table_group : 1;
      const auto row = T + (std::ptrdiff_t(whole) * table_group * knots + std::ptrdiff_t(first) * in_group + c % group_w / w);
      const auto sums = [&]<int step>() {
        V value = row[0] * N[0];
        slope = row[0] * dN[0];
        NB_UNROLL for (int k = 1; k < active; ++k) value += row[k * step] * N[k], slope += row[k * step] * dN[k];
        return value;
      };
      return in_group == table_group ? sums.template operator()<table_group>() : sums.template operator()<1>();
    }
    NB_INLINE void take(int, V w_bar) { sum += w_bar * slope; }
    NB_INLINE void end() { slope_sum[0] += sum; }
  };
  int n_channels = 0;
  NB_INLINE Edge edge(int q) const {
    return {T, of.first[q], of.knots, n_channels, of.N + q * active, of.dN + q * active,
            registers(of.slope) + q};
  }
};

template <int d3_, int d1_, int registers, class Lane, class Weights, class Real>
void forward_sized([[maybe_unused]] int d3_run, int d1_run, bool fresh, const std::int32_t* child, int n_children,
                   Planes<Real> H, int H_row, Planes<Real> M, int M_size, const Weights& weights, Planes<Real> A,
                   int A_row) {
  using Scalar = ScalarOf<Lane>;
  constexpr int w = width<Real>;
  const int d1 = d1_ ? d1_ : d1_run;
  Lane sum[d3_ ? d3_ : max_d][registers];
  repeat<d3_>(d3_run, [&](int m3) {
  NB_UNROLL for (int r = 0; r < registers; ++r) sum[m3][r] = fresh ? Lane{} : load<Lane>(A, m3 * A_row + r * w);
  });
  for (int q = 0; q < n_children; ++q) {
    const Planes<Real> H_q = H + std::ptrdiff_t(child[q]) * d1 * H_row, M_q = M + std::ptrdiff_t(q) * M_size;
    Lane wH[d1_ ? d1_ : max_d][registers];
    NB_UNROLL for (int r = 0; r < registers; ++r) {
      const Lane w_q = weights.forward(q, r);
      repeat<d1_>(d1, [&](int m1) { wH[m1][r] = product(w_q, load<Lane>(H_q, m1 * H_row + r * w)); });
    }
    repeat<d3_>(d3_run, [&](int m3) {
      repeat<d1_>(d1, [&](int m1) {
        const Scalar M_m = load_scalar<Scalar>(M_q, m3 * d1 + m1);
        NB_UNROLL for (int r = 0; r < registers; ++r) add_product(sum[m3][r], wH[m1][r], M_m);
      });
    });
  }
  repeat<d3_>(d3_run, [&](int m3) {
    NB_UNROLL for (int r = 0; r < registers; ++r) put(A, m3 * A_row + r * w, sum[m3][r]);
  });
}

template <int d3_, int d1_, bool edges, class Lane, class Weights, class Real>
void adjoint_sized([[maybe_unused]] int d3_run, int d1_run, int n_channels, const PathEdges<Real>& e,
                   const Weights& weights, Planes<Real> A_bar, int A_row) {
  using Scalar = ScalarOf<Lane>;
  constexpr int w = width<Real>;
  const int d1 = d1_ ? d1_ : d1_run;
  for (int q = 0; q < e.n; ++q) {
    const Planes<Real> H = e.H + std::ptrdiff_t(e.child[q]) * d1 * n_channels,
                       H_bar = e.H_bar + std::ptrdiff_t(e.child_bar[q]) * d1 * n_channels,
                       M = e.M + std::ptrdiff_t(q) * e.M_size;
    auto w_edge = weights.edge(q);
    Lane G[edges ? (d3_ ? d3_ * d1_ : max_d * max_d) : 1];
    if constexpr (edges) repeat<d3_ * d1_>(d3_run * d1, [&](int k) { G[k] = Lane{}; });
    for (int c = 0; c < n_channels; c += w) {
      const Lane w_c = w_edge.at(c);
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
        put(H_bar, m1 * n_channels + c, h_bar);
      });
      w_edge.take(c, w_bar);
    }
    w_edge.end();
    if constexpr (edges)
      repeat<d3_ * d1_>(d3_run * d1, [&](int k) { store(e.Gram, (std::ptrdiff_t(q) * e.M_size + k) * w, G[k]); });
  }
}

// Radial functions are contracted some at a time, as many as stay in registers: n of them, a number of the template.

/// w[q][register] (+)= sum over n functions of W[register][n] B[q][n]
template <int n_, int registers, bool add, class Lane, class Real>
void weights_of(Registers<const Real> W, std::ptrdiff_t W_step, Planes<Real> B, int B_row, int n_children,
                Planes<Real> weights, std::ptrdiff_t w_row) {
  constexpr int w = width<Real>;
  Simd<Real> W_n[registers][n_];
  NB_UNROLL for (int r = 0; r < registers; ++r)
    NB_UNROLL for (int n = 0; n < n_; ++n) W_n[r][n] = W[r * W_step / w + n];
  for (int q = 0; q < n_children; ++q) {
    Lane sum[registers] = {};
    if constexpr (add)
      NB_UNROLL for (int r = 0; r < registers; ++r) sum[r] = load<Lane>(weights, q * w_row + r * w);
    NB_UNROLL for (int n = 0; n < n_; ++n) {
      const auto B_n = load_scalar<ScalarOf<Lane>>(B, q * B_row + n);
      NB_UNROLL for (int r = 0; r < registers; ++r) add_product(sum[r], W_n[r][n], B_n);
    }
    NB_UNROLL for (int r = 0; r < registers; ++r) store(weights, q * w_row + r * w, sum[r]);
  }
}

template <int n_, int registers, class Lane, class Real>
void gradient_of(Registers<Real> W_bar, std::ptrdiff_t W_step, Planes<Real> B, int B_row, int n_children,
                 Planes<Real> weights_bar, std::ptrdiff_t w_row) {
  constexpr int w = width<Real>;
  Simd<Real> sum[registers][n_];
  NB_UNROLL for (int r = 0; r < registers; ++r)
    NB_UNROLL for (int n = 0; n < n_; ++n) sum[r][n] = W_bar[r * W_step / w + n];
  for (int q = 0; q < n_children; ++q) {
    Lane w_bar[registers];
    NB_UNROLL for (int r = 0; r < registers; ++r) w_bar[r] = load<Lane>(weights_bar, q * w_row + r * w);
    NB_UNROLL for (int n = 0; n < n_; ++n) {
      const auto B_n = load_scalar<ScalarOf<Lane>>(B, q * B_row + n);
      NB_UNROLL for (int r = 0; r < registers; ++r) add_gradient(sum[r][n], w_bar[r], B_n);
    }
  }
  NB_UNROLL for (int r = 0; r < registers; ++r)
    NB_UNROLL for (int n = 0; n < n_; ++n) W_bar[r * W_step / w + n] = sum[r][n];
}

/// One plane of radial_functions_adjoint, `tile` children at a time: their sums stay in registers. W [path][n_radial],
/// at the first of the n functions
template <int n_, int tile, class Real>
void functions_of(int n_radial, Registers<const Real> W, const std::vector<int>& rows, int row, int n_children,
                  const Real* weights_bar, Real* B_bar, int B_row) {
  using V = Simd<Real>;
  constexpr int w = width<Real>;
  const int P = int(rows.size());
  const std::ptrdiff_t w_row = std::ptrdiff_t(P) * row;
  int q = 0;
  for (; q + tile <= n_children; q += tile) {
    V sum[tile][n_ + w] = {};
    for (int c = 0; c < row; c += w)
      for (int p = 0; p < P; ++p) {
        if (c >= rows[p]) continue;
        const auto W_n = W + (std::ptrdiff_t(c / w) * P + p) * n_radial;
        V w_bar[tile];
  NB_UNROLL for (int k = 0; k < tile; ++k)
          w_bar[k] = load_register(weights_bar + (q + k) * w_row + std::ptrdiff_t(p) * row + c);
  NB_UNROLL for (int n = 0; n < n_; ++n)
          NB_UNROLL for (int k = 0; k < tile; ++k) sum[k][n] += W_n[n] * w_bar[k];
      }
    for (int k = 0; k < tile; ++k) add_lane_sums<Real>(sum[k], n_, B_bar + (q + k) * B_row);
  }
  if constexpr (tile > 1)
    if (q < n_children)
      functions_of<n_, 1>(n_radial, W, rows, row, n_children - q, weights_bar + q * w_row, B_bar + q * B_row, B_row);
}

/// f.template operator()<n, first>(k) for functions k .. k + n - 1, until all are done: eight at a time, the usual number
template <class F> NB_INLINE void each_radial(int n_radial, F f) {
  if (n_radial >= 8) f.template operator()<8, true>(0);
  int k = n_radial >= 8 ? 8 : 0;
  for (; k + 8 <= n_radial; k += 8) f.template operator()<8, false>(k);
  const auto rest = [&]<int n>() {
    if (k + n > n_radial) return;
    if (k == 0) f.template operator()<n, true>(0);
    else f.template operator()<n, false>(k);
    k += n;
  };
  rest.template operator()<4>(), rest.template operator()<2>(), rest.template operator()<1>();
}

#ifdef NBCORE_FEW_SIZES  // a build that is not for speed: the same texts, a few of their sizes
constexpr bool few_sizes = true;
#else
constexpr bool few_sizes = false;
#endif

/// f.template operator()<2l3+1, 2l1+1>(), or with run-time sizes where nobody is in a hurry
template <bool fixed, class F> NB_INLINE void with_sizes(int l3, int l1, F f) {
  if constexpr (!fixed) {
    f.template operator()<0, 0>();
  } else if constexpr (few_sizes) {
    if (l1 == 1 && l3 == 1) f.template operator()<3, 3>();
    else if (l1 == 0 && l3 == 2) f.template operator()<5, 1>();
    else f.template operator()<0, 0>();
  } else {
    const auto with_l3 = [&]<int d1>() {
      switch (l3) {
        case 0:
          return f.template operator()<1, d1>();
        case 1:
          return f.template operator()<3, d1>();
        case 2:
          return f.template operator()<5, d1>();
        default:
          return f.template operator()<7, d1>();
      }
    };
    if (l3 > 3 || l1 > 3) return f.template operator()<0, 0>();
    switch (l1) {
      case 0:
        return with_l3.template operator()<1>();
      case 1:
        return with_l3.template operator()<3>();
      case 2:
        return with_l3.template operator()<5>();
      default:
        return with_l3.template operator()<7>();
    }
  }
}

}  // namespace

template <class Lane, class Real>
void forward_path(const Path& path, int registers, bool fresh, const std::int32_t* child, int n_children, Planes<Real> H, int H_row,
                  Planes<Real> M, int M_size, Planes<Real> weights, std::ptrdiff_t w_row, Planes<Real> A, int A_row) {
  with_sizes<true>(path.l3, path.l1, [&]<int d3, int d1>() {
    constexpr int at_once = d1 > 0 && d3 + (is_dual<Lane> ? 2 : 1) * d1 <= 11 ? 2 : 1;  // what stays in registers
    for (int r = 0; r < registers; r += at_once) {
      const int c = r * width<Real>;
      if (registers - r >= at_once)
        forward_sized<d3, d1, at_once, Lane>(2 * path.l3 + 1, 2 * path.l1 + 1, fresh, child, n_children, H + c, H_row, M,
                                             M_size, GivenWeights<Lane, Real>{weights + c, w_row}, A + c, A_row);
      else
        forward_sized<d3, d1, 1, Lane>(2 * path.l3 + 1, 2 * path.l1 + 1, fresh, child, n_children, H + c, H_row, M,
                                       M_size, GivenWeights<Lane, Real>{weights + c, w_row}, A + c, A_row);
    }
  });
}

template <bool edges, class Lane, class Real>
void adjoint_path(const Path& path, int n_channels, const PathEdges<Real>& e, Planes<Real> A_bar, int A_row) {
  // Hessian products, which want tangents of edges, are double
  constexpr bool fixed = !(edges && is_dual<Lane> && std::is_same_v<Real, float>);
  with_sizes<fixed>(path.l3, path.l1, [&]<int d3, int d1>() {
    adjoint_sized<d3, d1, edges, Lane>(2 * path.l3 + 1, 2 * path.l1 + 1, n_channels, e,
                                       GivenWeights<Lane, Real>{e.weights, e.w_row}, A_bar, A_row);
  });
}

template <class Real>
void forward_path(const Path& path, int row, int c, const std::int32_t* child, int n_children, const Real* H,
                  const Real* M, int M_size, const TabledPath<Real>& weights, Real* A, int A_row) {
  using V = Simd<Real>;
  constexpr int w = width<Real>;
  const auto plane = [](const Real* x) { return Planes<Real>{const_cast<Real*>(x), nullptr}; };
  with_sizes<true>(path.l3, path.l1, [&]<int d3, int d1>() {
    constexpr int at_once = d1 > 0 && d3 + d1 <= 11 ? table_group : 1;
    const int left = (row - c) / w, group = std::min(left, table_group);
    const auto T = registers(weights.T) + std::ptrdiff_t(c / w) * weights.knots;
    for (int r = 0; r < group; r += at_once) {
      const int at = c + r * w;
      const TabledWeights<Real> some{weights, T + r, group};
      if (group - r >= at_once)
        forward_sized<d3, d1, at_once, V>(2 * path.l3 + 1, 2 * path.l1 + 1, true, child, n_children, plane(H) + at, row,
                                          plane(M), M_size, some, plane(A) + at, A_row);
      else
        forward_sized<d3, d1, 1, V>(2 * path.l3 + 1, 2 * path.l1 + 1, true, child, n_children, plane(H) + at, row,
                                    plane(M), M_size, some, plane(A) + at, A_row);
    }
  });
}

template <class Real>
void adjoint_path(const Path& path, int n_channels, const PathEdges<Real>& e, const TabledPath<Real>& weights,
                  Real* A_bar, int A_row) {
  using V = Simd<Real>;
  with_sizes<true>(path.l3, path.l1, [&]<int d3, int d1>() {
    const TabledWeights<Real> some{weights, registers(weights.T), table_group, n_channels};
    adjoint_sized<d3, d1, true, V>(2 * path.l3 + 1, 2 * path.l1 + 1, n_channels, e, some, Planes<Real>{A_bar, nullptr},
                                   A_row);
  });
}

template <class Lane, class Real>
void radial_weights(const Real* W, std::ptrdiff_t W_step, int registers, int n_radial, Planes<Real> B, int B_row,
                    int n_children, Planes<Real> weights, std::ptrdiff_t w_row) {
  const auto W_n = nbcore::registers(W);
  each_radial(n_radial, [&]<int n, bool first>(int k) {
    if (registers == 2) weights_of<n, 2, !first, Lane>(W_n + k, W_step, B + k, B_row, n_children, weights, w_row);
    else weights_of<n, 1, !first, Lane>(W_n + k, W_step, B + k, B_row, n_children, weights, w_row);
  });
}

template <class Lane, class Real>
void radial_weights_gradient(Real* W_bar, std::ptrdiff_t W_step, int registers, int n_radial, Planes<Real> B, int B_row,
                             int n_children, Planes<Real> weights_bar, std::ptrdiff_t w_row) {
  const auto W_n = nbcore::registers(W_bar);
  each_radial(n_radial, [&]<int n, bool>(int k) {
    if (registers == 2) gradient_of<n, 2, Lane>(W_n + k, W_step, B + k, B_row, n_children, weights_bar, w_row);
    else gradient_of<n, 1, Lane>(W_n + k, W_step, B + k, B_row, n_children, weights_bar, w_row);
  });
}

template <class Lane, class Real>
void radial_functions_adjoint(const Real* W, int n_radial, const std::vector<int>& rows, int row, int n_children,
                              Planes<Real> weights_bar, Planes<Real> B_bar, int B_row) {
  constexpr int tile = register_bytes == 64 && !lanes_are_threads ? 3 : 1;
  const auto W_n = nbcore::registers(W);
  each_radial(n_radial, [&]<int n, bool>(int k) {
    functions_of<n, tile>(n_radial, W_n + k, rows, row, n_children, weights_bar.value, B_bar.value + k, B_row);
    if constexpr (is_dual<Lane>)
      functions_of<n, tile>(n_radial, W_n + k, rows, row, n_children, weights_bar.dot, B_bar.dot + k, B_row);
  });
}

#define NB_PATH_KERNELS(Lane, Real)                                                                               \
  template void forward_path<Lane, Real>(const Path&, int, bool, const std::int32_t*, int, Planes<Real>, int, Planes<Real>,  \
                                         int, Planes<Real>, std::ptrdiff_t, Planes<Real>, int);                   \
  template void adjoint_path<true, Lane, Real>(const Path&, int, const PathEdges<Real>&, Planes<Real>, int);                    \
  template void adjoint_path<false, Lane, Real>(const Path&, int, const PathEdges<Real>&, Planes<Real>, int);                   \
  template void radial_weights<Lane, Real>(const Real*, std::ptrdiff_t, int, int, Planes<Real>, int, int, Planes<Real>, std::ptrdiff_t); \
  template void radial_weights_gradient<Lane, Real>(Real*, std::ptrdiff_t, int, int, Planes<Real>, int, int, Planes<Real>, std::ptrdiff_t); \
  template void radial_functions_adjoint<Lane, Real>(const Real*, int, const std::vector<int>&, int, int, Planes<Real>, Planes<Real>, int);
NB_PATH_KERNELS(Simd<double>, double)
NB_PATH_KERNELS(Dual<Simd<double>>, double)
NB_PATH_KERNELS(Simd<float>, float)
NB_PATH_KERNELS(Dual<Simd<float>>, float)

#define NB_TABLED_KERNELS(Real)                                                                                    \
  template void forward_path(const Path&, int, int, const std::int32_t*, int, const Real*, const Real*, int,       \
                             const TabledPath<Real>&, Real*, int);                                                 \
  template void adjoint_path(const Path&, int, const PathEdges<Real>&, const TabledPath<Real>&, Real*, int);
NB_TABLED_KERNELS(double)
NB_TABLED_KERNELS(float)

}  // namespace nbcore
