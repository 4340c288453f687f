// The sums of a first level and the mixes behind them in one, for evaluations. Children of a first level are known by
// their species z alone, and what is linear may be mixed before or after it is summed over children:
//
//   out^l[i] = sum over children of  Y_l h(r) R_l diag(E_z) M_1^l M_2^l ...  =  sum over z of  D^l_z[i] W^l_z
//   D_z[i][lm][n] = sum over children of species z of  Y_lm(r_ij) h_n(r_ij)
//
// The sums are taken in the basis of the n functions h of a radial network, whatever the number of channels and of mixes;
// W is multiplied out beforehand. The functions are B-splines, those of the table that the sums would read otherwise
// (ops/radial_table.hpp).
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "gates/block.hpp"
#include "gates/rule.hpp"

namespace nbcore {

/// The numbers of a chain of gates: its sums, then its mixes, each with its own parameters and gains
struct MixedSumsChain {
  SpeciesSums sums;
  const double* parameters;
  struct Mix {
    LinearMap map;
    const double* parameters;
    const std::vector<double>* gains;
  };
  std::vector<Mix> mixes;
};

template <class Real> class MixedSums {
 public:
  static constexpr int most_species = 4;  // of more the matrices of all pairs take more time than they save

  /// table: of the radial functions `radial` of the relation, which the sums read. species: whether atoms of it are
  /// there
  MixedSums(const MixedSumsChain& chain, std::shared_ptr<const RadialTable<Real>> table, int radial,
            const std::vector<char>& species);

  /// Do the edges of a block have the table, and all of its atoms species that were there?
  bool serves(const Block<Real>& b) const;
  /// Writes the output of the last mix.
  void forward(Block<Real>& b) const;
  /// From its adjoint that of the edges
  void adjoint(Block<Real>& b) const;

 private:
  static constexpr int w = width<Real>;
  struct Part {
    int l, out, N;  // part of the output, its row
  };
  struct Run {  // children of one species
    int slot;   // of the species among those of the block
    std::int64_t first, end;
  };
  int dim() const { return l_max_ + 1; }
  int n_lm() const { return dim() * dim(); }
  /// Where the rows of l begin in D of n parents, [parent][2l+1][function] for each l
  std::ptrdiff_t offset(int l, int n) const { return std::ptrdiff_t(n) * l * l * row_; }
  struct Species {  // of the children of a block
    int n = 0;
    std::array<int, most_species> z{};
  };
  Species species_of_children(const Block<Real>& b) const;
  template <class F> void each_product(const Block<Real>& b, const Species& there, F f) const;
  template <class F> void each_run(const Block<Real>& b, const Species& there, F f) const;
  void rows_of(Real* D, int i, int n, Real** rows) const;
  void functions(const TableEdges<Real>& t, std::int64_t q, Real* h) const;
  template <int count> void sum(const Edges<Real>& e, std::int64_t q, int n, const Real* h, int lm, Real** to) const;
  template <int count> void children(Edges<Real>& e, std::int64_t q, Real** A, const Real* A_T, Real* h) const;

  std::shared_ptr<const RadialTable<Real>> table_;
  int radial_, n_species_, l_max_, row_;
  bool by_parent_ = false;  // a mix has matrices for each species of the parent
  std::vector<char> known_;
  std::vector<Part> parts_;
  std::vector<std::ptrdiff_t> matrices_;  // [parent][child][part] where W begins
  Buffer<Real> C_;                        // coefficients of the functions [knot][row]
  Buffer<Real> W_, W_T_;                  // packed, and their transposes
};

}  // namespace nbcore
