// A multilayer perceptron on a radial basis, whose last hidden layer plays the basis: the radial networks of NequIP and
// MACE, apart from their last, linear layer, which every gate has anyway.
//
//   forward   h_0 = B(r),   h_k = c silu(h_(k-1) W_k / sqrt(width of h_(k-1)))      no biases: zero stays zero
//             the last layer may be linear, h_K = h_(K-1) W_K / sqrt(width of h_(K-1)), or have tanh(z^2)
//   biased      h_k = c f(h_(k-1) W_k / sqrt(width) + b_k); behind the last functions there stands the constant 1
//   normalised  h_k = c silu(norm(h_(k-1) W_k / sqrt(width) + b)), b of the first layer that of the parent's species plus
//             that of the child's; the norm has weights of its own (ops/layer_norm.hpp). A last layer of another function
//             has a bias and no norm; behind one of silu there stands the constant 1
//   after     h_K E(r), where the basis is without its envelope E, which stands behind its functions
//   adjoint   h_K_bar       -> W_k_bar, B_bar
//
// It belongs to the gate that reads it: its weights are the gate's, and the gate's sweeps run it (KernelsOf). Some edges
// are taken at a time, so that all layers stay near; what the adjoint needs of them is computed once more. Nothing but
// h_K of a block is kept, edges x width.
#pragma once
#include "gates/block.hpp"
#include "gates/packing.hpp"
#include "gates/rule.hpp"
#include "ops/layer_norm.hpp"

namespace nbcore {

/// radial1, radial2, ... [in][out], the weights of the layers, in others than plain ones followed by biases and norms;
/// none where the functions are those of a basis
std::vector<ParameterInfo> network_parameters(const Radial& radial);
/// W_k / sqrt(width) [in][out] of all layers of a plain network, from their parameters
std::vector<std::vector<double>> network_matrices(const Radial& radial, const double* parameters);

template <class Real> class RadialNetwork {
 public:
  /// Of the radial functions `set` of the edges, over the basis `base`; `first` of its parameters among those of the
  /// gate, to whose packing it appends its own.
  RadialNetwork(const Radial& radial, int set, int base, std::int64_t first, Packing& packing, Packing& copies);

  /// B of `set` from the basis; nothing where a spline or a table is in its place.
  void forward(bool dual, Block<Real>& b) const;
  /// Before the gate's adjoint: B_bar of `set` is zero
  void begin_adjoint(bool dual, Block<Real>& b) const;
  /// After it
  void adjoint(bool dual, Want want, Block<Real>& b) const;

 private:
  struct Layer {
    int in, out;
    std::ptrdiff_t W, W_T;              // place in the packed weights, in the copies
    std::ptrdiff_t bias = 0, norm = 0;  // in the packed weights; of a normalised network rows of parents, of children
    int in_row() const { return padded<Real>(in); }
    int out_row() const { return padded<Real>(out); }
  };
  template <class Lane> void forward_on(Block<Real>& b) const;
  template <class Lane, Want want> void adjoint_on(Block<Real>& b) const;

  template <class Lane> void add_biases(std::size_t k, std::int64_t q, int rows, Block<Real>& b, Planes<Real> z) const;
  template <class Lane>
  void add_bias_gradients(std::size_t k, std::int64_t q, int rows, Block<Real>& b, Planes<Real> z_bar) const;
  template <class Lane> void finish(std::int64_t q, int rows, Edges<Real>& e, Planes<Real> h) const;
  template <class Lane> void finish_adjoint(std::int64_t q, int rows, bool want_edges, Edges<Real>& e, Planes<Real> h,
                                            Planes<Real> h_bar) const;

  LayerFunction function(std::size_t k) const { return k + 1 < layers_.size() ? radial_.hidden : radial_.last; }
  bool has_norm(std::size_t k) const { return radial_.normalised && function(k) == LayerFunction::silu; }
  /// Is what the gate reads more than the last layer?
  bool finishes() const { return radial_.after || radial_.has_constant(); }
  LayerNorm<Real> norm(std::size_t k, const Block<Real>& b) const {
    return {b.weights + layers_[k].norm, layers_[k].out, layers_[k].out_row()};
  }

  Radial radial_;
  int set_, base_;
  std::vector<Layer> layers_;
  int widest_ = 0;  // row of a hidden layer
};

}  // namespace nbcore
