// From edge vectors to harmonics and radial functions, and back: the only place where geometry meets the network.
//
//   forward   r, [r_dot]           -> Y [edge][lm], B [edge][n], dB    (and their tangents)
//   adjoint   Y_bar, B_bar         -> r_bar [edge][3]                  (and its tangent)
//
// Y = sqrt(4 pi) Y_lm(r/|r|), so that sum_m Y^2 = 2l+1 and features are of order one; where the radial basis is
// "solid", (|r|/cutoff)^l times that, which is smooth at r = 0. Differences of positions, lengths and everything else
// here is done in double, a register of edges at a time; results are stored as Real.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/buffer.hpp"
#include "ops/radial.hpp"
#include "ops/radial_table.hpp"

namespace nbcore {

inline constexpr int max_l_network = 10;  // of harmonics inside networks

/// Radial functions that gates read: those of a basis, or of a network on the basis `base`, which its gate computes.
struct RadialSet {
  Radial radial;
  int base = -1;
  bool read = false;  // a basis: by a gate itself, not by networks alone
};

/// What edges know of a table: the rows and values of its active functions, and what comes back.
template <class Real> struct TableEdges {
  bool used = false;                // the block has no edge that is shorter than the table
  std::vector<std::int32_t> first;  // [edge] row of the first active function
  Buffer<Real> N, dN;               // [edge][active]
  Buffer<Real> slope;               // [edge] a register whose lanes, summed, are the adjoint of the length
};

/// The edge arrays of one block. Rows are padded: Y to whole registers, B to padded(n).
template <class Real> struct Edges {
  std::int64_t n = 0;
  int l_max = 0, Y_row = 0;
  std::vector<RadialSet> radials;                   // the different radial functions of the program
  const RadialStandIns<Real>* stand_ins = nullptr;  // [set]; null: there are none
  PlaneBuffer<double> r, r_bar;                     // [3][n padded]
  PlaneBuffer<Real> Y, Y_bar;                       // [edge][Y_row]
  std::vector<PlaneBuffer<Real>> B, B_bar;          // per basis [edge][padded(n)]
  std::vector<PlaneBuffer<double>> dB;              // dB_n / dr [n][n padded], from the forward for the adjoint
  std::vector<TableEdges<Real>> tables;             // [set]
  std::vector<std::array<int, 2>> elements;         // [edge] of parent and child, where a basis or a network sees them

  std::int64_t stride() const { return (n + 7) / 8 * 8; }
  bool solid() const { return !radials.empty() && radials[0].radial.basis == Basis::solid; }
  int B_row(int k) const { return padded<Real>(radials[k].radial.width()); }
  const RadialSpline* spline(int k) const { return stand_ins ? (*stand_ins)[k].spline.get() : nullptr; }
  /// The table of these edges; null where there is none, or one of them is too short
  const RadialTable<Real>* table(int k) const {
    return stand_ins && tables[k].used ? (*stand_ins)[k].table.get() : nullptr;
  }
  bool runs_network(int k) const { return !spline(k) && !table(k); }
  bool see_elements() const {
    return std::any_of(radials.begin(), radials.end(), [](const RadialSet& s) { return s.radial.sees_elements(); });
  }
  /// Is it a basis that somebody reads?
  bool is_wanted(int k) const {
    if (radials[k].base >= 0) return false;
    if (radials[k].read) return true;
    for (std::size_t j = 0; j < radials.size(); ++j)
      if (radials[j].base == k && runs_network(int(j))) return true;
    return false;
  }

  void resize(std::int64_t n_edges, bool dual) {
    n = n_edges;
    Y_row = padded<Real>((l_max + 1) * (l_max + 1));
    r.resize(3 * stride(), dual), r_bar.resize(3 * stride(), dual);
    Y.resize(n * Y_row, dual), Y_bar.resize(n * Y_row, dual);
    B.resize(radials.size()), B_bar.resize(radials.size()), dB.resize(radials.size()), tables.resize(radials.size());
    for (std::size_t k = 0; k < radials.size(); ++k) tables[k].used = false;
  }
  /// When r is there
  void choose_tables() {
    double shortest = std::numeric_limits<double>::infinity();  // squared; nothing that is no number
    for (std::int64_t e = 0; e < n; ++e) {
      const auto x = [&](int c) { return r.value[c * stride() + e]; };
      const double square = x(0) * x(0) + x(1) * x(1) + x(2) * x(2);
      shortest = square >= shortest ? shortest : square;
    }
    for (std::size_t k = 0; k < radials.size(); ++k) {
      if (!stand_ins || !(*stand_ins)[k].table) continue;
      const RadialTable<Real>& table = *(*stand_ins)[k].table;
      TableEdges<Real>& t = tables[k];
      t.used = shortest > table.from() * table.from() * (1 + 1e-12);
      if (!table.pairs.number.empty())
        for (const std::array<int, 2>& pair : elements) t.used = t.used && table.pairs.find(&pair) >= 0;
      if (!t.used) continue;
      t.first.resize(stride());
      t.N.resize(n * BSplines::active), t.dN.resize(n * BSplines::active), t.slope.resize(n * width<Real>);
    }
  }
  /// What is left after that
  void resize_functions(bool dual) {
    for (std::size_t k = 0; k < radials.size(); ++k) {
      if (table(int(k))) continue;
      B[k].resize(n * B_row(int(k)), dual), B_bar[k].resize(n * B_row(int(k)), dual);
      if (is_wanted(int(k))) dB[k].resize(radials[k].radial.basis_width() * stride(), dual);
    }
  }
  void clear_adjoints(bool dual) {
    Y_bar.clear(dual);
    for (std::size_t k = 0; k < radials.size(); ++k)
      if (table(int(k))) tables[k].slope.clear();
      else B_bar[k].clear(dual);
  }
};

/// Fills Y and B from r (and their tangents from its tangent).
template <bool dual, class Real> void edges_forward(Edges<Real>& s);

/// r_bar = what the edge vectors get (overwrites: an edge has one place).
template <bool dual, class Real> void edges_adjoint(Edges<Real>& s);

}  // namespace nbcore
