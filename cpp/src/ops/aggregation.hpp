// One path of an aggregation: children's states times couplings M = C Y(r_ij) and a weight per edge and channel,
//
//   A[m3][c] += sum over children q of  M[q][m3][m1] w[q][c] H[q][m1][c]
//
// wherever the weights come from. Gates loop over paths, edges and registers; the sums stay in registers here.
#pragma once
#include <cstdint>
#include <map>
#include <span>
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
inline constexpr std::size_t most_paths = 1 << 16;

/// The paths (part of H, l2, l3) of an aggregation, sorted by l2, `copies` of each; appends a part per l3 to `output`
/// (per l3, parity and width of the state's part, where these differ), with the groups of that part once per path.
inline std::vector<Path> aggregation_paths(std::span<const Part> H, Angular a, int copies, std::vector<Part>& output) {
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
        if (paths.size() > most_paths) throw InputError(message("it would have more than ", most_paths, " paths"));
      }
  if (paths.empty()) throw InputError("no path leads to l <= l_out");
  for (auto& [key, number] : part_of) {
    number = int(output.size());
    output.push_back({std::get<0>(key), std::get<1>(key), 0, std::get<3>(key), std::get<4>(key)});
  }
  for (Path& p : paths) {
    p.part3 = part_of[type(p)];
    Part& out = output[p.part3];
    p.slot = out.groups / H[p.part1].groups;
    add_groups(out, H[p.part1].groups);
  }
  return paths;
}

/// Refuses states whose parts are not all of the same channels.
inline void check_same_channels(const std::string& where, std::span<const Part> H) {
  for (const Part& h : H)
    if (h.groups != h.planes() || h.group != H[0].group || h.complex != H[0].complex)
      throw InputError(message(where, "all parts of the input must have the same channels"));
}

/// Where the weights of a path come from that are tabulated: T [group of registers][knot][register of the group], groups
/// of table_group registers, the last one of what is left; and the edges that ask, from the first one on.
template <class Real> struct TabledPath {
  const Real* T;
  int knots;
  const std::int32_t* first;  // [edge]
  const Real *N, *dN;         // [edge][active]
  Real* slope;                // [edge][lane]
  TabledPath operator+(std::int64_t q) const {
    return {T, knots, first + q, N + q * BSplines::active, dN + q * BSplines::active, slope + q * width<Real>};
  }
};
inline constexpr int table_group = 2;

/// One path, some registers of channels: A[m3] += sum over q of M[q][m3][m1] (w[q] H[child q][m1]), or = where `fresh`;
/// H, A and the weights [child][w_row] stand at the first register.
template <class Lane, class Real> void forward_path(const Path& path, int registers, bool fresh,
                                                    const std::int32_t* child, int n_children, Planes<Real> H,
                                                    int H_row, Planes<Real> M, int M_size, Planes<Real> weights,
                                                    std::ptrdiff_t w_row, Planes<Real> A, int A_row);

/// The same for one group of registers from channel c on, with tabulated weights; all sums are fresh
template <class Real> void forward_path(const Path& path, int row, int c, const std::int32_t* child, int n_children,
                                        const Real* H, const Real* M, int M_size, const TabledPath<Real>& weights,
                                        Real* A, int A_row);

/// Some edges of a parent for the adjoint of a path: where its part of the states and of M begins.
template <class Real> struct PathEdges {
  int n;
  const std::int32_t *child, *child_bar;  // [n]
  Planes<Real> H, H_bar;                  // [child][2l1+1][channel]
  Planes<Real> M, Gram;                   // [n][M_size], Gram a register for each number
  int M_size;
  Planes<Real> weights;  // [n][w_row]
  std::ptrdiff_t w_row;
};
/// All channels of a path: H_bar[m1] += w t[m1], t[m1] = sum_m3 M[m3][m1] A_bar[m3]; w becomes w_bar = sum_m1 t H; with
/// edges, Gram[m3][m1] = A_bar[m3] (w H[m1]), summed over registers but not over their lanes.
template <bool edges, class Lane, class Real>
void adjoint_path(const Path& path, int n_channels, const PathEdges<Real>& e, Planes<Real> A_bar, int A_row);
/// The same with tabulated weights, whose slopes times w_bar are added to those of the edges; weights of `e` are not read
template <class Real> void adjoint_path(const Path& path, int n_channels, const PathEdges<Real>& e,
                                        const TabledPath<Real>& weights, Real* A_bar, int A_row);
inline constexpr int edges_at_once = 4;  // in an adjoint: few enough for their Gram matrices to stay near

/// Radial weights that are linear in n_radial functions, packed W [register][path][n][lane]: for one path and one or
/// two `registers`, which share what is read of B, the second `W_step` numbers behind the first,
/// w[q][register] = sum_n W[n] B[q][n]; w with stride w_row (numbers).
template <class Lane, class Real> void radial_weights(const Real* W, std::ptrdiff_t W_step, int registers, int n_radial,
                                                      Planes<Real> B, int B_row, int n_children, Planes<Real> weights,
                                                      std::ptrdiff_t w_row);

/// W_bar[n] += sum_q B[q][n] w_bar[q][register], the share of duals in a loss gradient (add_gradient)
template <class Lane, class Real> void radial_weights_gradient(Real* W_bar, std::ptrdiff_t W_step, int registers,
                                                               int n_radial, Planes<Real> B, int B_row, int n_children,
                                                               Planes<Real> weights_bar, std::ptrdiff_t w_row);

/// B_bar[q][n] += sum over paths and channels of W[n] w_bar[q], w_bar [q][path][row]; rows[p]: channels of path p
template <class Lane, class Real>
void radial_functions_adjoint(const Real* W, int n_radial, const std::vector<int>& rows, int row, int n_children,
                              Planes<Real> weights_bar, Planes<Real> B_bar, int B_row);

/// M [edge][couplings.size()] of n edges from their harmonics
template <class Lane, class Real>
NB_INLINE void contract(const Couplings<Real>& couplings, int n, Planes<Real> Y, int Y_row, Planes<Real> M) {
  couplings.forward(n, Y.value, Y_row, M.value);
  if constexpr (is_dual<Lane>) couplings.forward(n, Y.dot, Y_row, M.dot);
}

/// Y_bar of n edges from the Gram matrices of their paths, whose registers are not yet summed
template <class Lane, class Real> NB_INLINE void contract_adjoint(const Couplings<Real>& couplings, int n,
                                                                  Planes<Real> Gram, Planes<Real> Y_bar, int Y_row) {
  couplings.adjoint(n, registers<const Real>(Gram.value), Y_bar.value, Y_row);
  if constexpr (is_dual<Lane>) couplings.adjoint(n, registers<const Real>(Gram.dot), Y_bar.dot, Y_row);
}

}  // namespace nbcore
