// One path of an aggregation: children's states times couplings M = C Y(r_ij) and a weight per edge and channel,
//
//   A[m3][c] += sum over children q of  M[q][m3][m1] w[q][c] H[q][m1][c]
//
// wherever the weights come from. Gates loop over paths, edges and registers; the sums stay in registers here.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "base/error.hpp"
#include "ops/coupling.hpp"
#include "ops/edges.hpp"
#include "ops/features.hpp"

namespace nbcore {

/// Which harmonics and outputs an aggregation has; l2 = l_max, l_max - l_step, ... to l_min.
struct Angular {
  int l_max, l_min, l_step, l_out;
  bool natural;  // outputs of natural parity alone
};

/// The paths (part of H, l2, l3) of an aggregation, sorted by l2, `copies` of each; appends a part per l3 to `output`
/// (per l3, parity and width of the state's part, where these differ), with the groups of that part once per path.
inline std::vector<Path> aggregation_paths(const std::string& where, const std::vector<Part>& H, Angular a, int copies,
                                           std::vector<Part>& output) {
  std::vector<Path> paths;
  std::map<std::tuple<int, int, int, int, bool>, int> part_of;  // l3, parity, groups and group of H, complex
  const auto type = [&](const Path& p) {
    const Part& h = H[p.part1];
    return std::tuple(p.l3, h.parity * (p.l2 % 2 ? -1 : 1), h.groups, h.group, h.complex);
  };
  for (int l2 = a.l_max - (a.l_max - a.l_min) / a.l_step * a.l_step; l2 <= a.l_max; l2 += a.l_step)
    for (int part = 0; part < int(H.size()); ++part)
      for (int l3 = std::abs(H[part].l - l2); l3 <= std::min(H[part].l + l2, a.l_out); ++l3) {
        const Path path{part, H[part].l, l2, l3};
        if (a.natural && std::get<1>(type(path)) != (l3 % 2 ? -1 : 1)) continue;
        paths.insert(paths.end(), copies, path), part_of[type(path)] = 0;
      }
  if (paths.empty()) throw InputError(message(where, "no path leads to l <= l_out"));
  for (auto& [key, number] : part_of) {
    number = int(output.size());
    output.push_back({std::get<0>(key), std::get<1>(key), 0, std::get<3>(key), std::get<4>(key)});
  }
  for (Path& p : paths) {
    p.part3 = part_of[type(p)];
    Part& out = output[p.part3];
    p.slot = out.groups / H[p.part1].groups, out.groups += H[p.part1].groups;
  }
  return paths;
}

/// Refuses states whose parts are not all of the same channels.
inline void check_same_channels(const std::string& where, const std::vector<Part>& H) {
  for (const Part& h : H)
    if (h.groups != h.planes() || h.group != H[0].group || h.complex != H[0].complex)
      throw InputError(message(where, "all parts of the input must have the same channels"));
}

/// One path, one register of channels: A[m3] += sum over q of M[q][m3][m1] (w[q] H[child q][m1]).
/// Sizes 0 are run-time sizes d3_, d1_. H and the weights [child][w_row] stand at the register
template <int d3_, int d1_, class Lane, class Real>
[[gnu::noinline]] void forward_path([[maybe_unused]] int d3_run, int d1_run, const std::int32_t* child, int n_children,
                                    Planes<Real> H, int H_row, Planes<Real> M, int M_size, Planes<Real> weights,
                                    std::ptrdiff_t w_row, Planes<Real> A, int A_row) {
  using Scalar = ScalarOf<Lane>;
  constexpr int max_d = 2 * max_l_network + 1;
  const int d1 = d1_ ? d1_ : d1_run;
  Lane sum[d3_ ? d3_ : max_d];
  repeat<d3_>(d3_run, [&](int m3) { sum[m3] = load<Lane>(A, m3 * A_row); });
  for (int q = 0; q < n_children; ++q) {
    const Planes<Real> H_q = H + std::ptrdiff_t(child[q]) * d1 * H_row, M_q = M + std::ptrdiff_t(q) * M_size;
    const Lane w = load<Lane>(weights, q * w_row);
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

/// f.template operator()<2l3+1, 2l1+1>() with compile-time sizes to l = 3, <0, 0> above
template <class F> NB_INLINE void with_sizes(int l3, int l1, F f) {
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

/// M of one edge from its harmonics
template <class Lane, class Real>
NB_INLINE void contract(const Couplings<Real>& couplings, Planes<Real> Y, Planes<Real> M) {
  couplings.forward(Y.value, M.value);
  if constexpr (is_dual<Lane>) couplings.forward(Y.dot, M.dot);
}

/// Y_bar of one edge from the Gram matrices of its paths, whose registers are not yet summed; M_bar is scratch
template <class Lane, class Real> NB_INLINE void contract_adjoint(const Couplings<Real>& couplings, Planes<Real> Gram,
                                                                  Planes<Real> M_bar, Planes<Real> Y_bar) {
  using V = Simd<Real>;
  constexpr int w = width<Real>;
  const auto plane = [&](const Real* registers, Real* sums, Real* to) {
    for (int k = 0; k < couplings.size(); k += w) {
      V group[w];
  NB_UNROLL for (int i = 0; i < w; ++i) group[i] = reinterpret_cast<const V*>(registers)[k + i];
      *reinterpret_cast<V*>(sums + k) = transposed_sum(group);
    }
    couplings.adjoint(sums, to);
  };
  plane(Gram.value, M_bar.value, Y_bar.value);
  if constexpr (is_dual<Lane>) plane(Gram.dot, M_bar.dot, Y_bar.dot);
}

}  // namespace nbcore
