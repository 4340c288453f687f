// The norm non-linearity of tensor field networks (arXiv:1802.08219): fragments times a function of their lengths,
//
//   out^l[m][c] = a(n[c] + b[c]) psi^l[m][c],     n[c] = sqrt(sum over m of psi^l[m][c]^2 + epsilon^2)
//   out^0[c]    = a(psi^0[c] + b[c])              even scalars; with scalars "norm" they are treated as all others
//
// n does not turn, so that out^l turns as psi^l does. With form "unit" it is a(n + b) psi / n, a fragment of the length
// a(n + b), as in e3nn; where psi is zero its direction is lost unless epsilon is large enough.
#include "gates/gate.hpp"
#include "ops/activations.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    choice("function", {"silu", "tanh", "ssp", "celu", "softplus", "sigmoid"},
           "a: x / (1 + exp(-x)), tanh x, ln((1 + exp x) / 2), max(x, (exp(10 x) - 1) / 10), ln(1 + exp x), "
           "1 / (1 + exp(-x))"),
    choice("form", {"times", "unit"}, "times: a(n + b) psi; unit: a(n + b) psi / n"),
    choice("scalars", {"function", "norm"}, "of even scalars; function: a(psi + b); norm: as all others"),
    real("epsilon", 0.1, 0, 1e3, "where the norm begins to be smooth", true),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  Activation function;
  bool unit, pointwise;
  double epsilon;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : function(activation_named(o.text("function"))),
        unit(o.is("form", "unit")),
        pointwise(o.is("scalars", "function")),
        epsilon(o.real("epsilon")) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    output.assign(inputs[0].begin(), inputs[0].end());
    for (std::size_t p = 0; p < output.size(); ++p) {
      is_scalar.push_back(output[p].l == 0 && output[p].parity == around.natural(0));
      parameters.push_back({message("b", p), {output[p].channels()}, 0.0});
    }
  }
  std::vector<bool> is_scalar;  // [part] even
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  Activation function;
  bool unit;
  Real epsilon;
  std::vector<bool> by_norm;          // [part]
  std::vector<std::ptrdiff_t> first;  // [part] its first bias among the packed ones, which lie as a row does

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : function(rule.function), unit(rule.unit), epsilon(Real(rule.epsilon)) {
    const Layout<Real> layout(rule.output);
    std::int64_t parameter = 0;
    for (int p = 0; p < layout.size(); ++p) {
      by_norm.push_back(!(rule.pointwise && rule.is_scalar[p]));
      first.push_back(this->packing.size());
      for (int at = 0, c = 0; at < layout.row(p); ++at)
        if (c < layout[p].channels() && layout.position(p, c) == at) ++c, this->packing.weight(parameter++, 1);
        else this->packing.zeros(1);
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    with_activation(function, [&](auto f) {
      each_register(b, [&](int p, std::ptrdiff_t at, std::ptrdiff_t at_bias, int d, int row) {
        const Lane bias = bias_of<Lane>(b, at_bias);
        const Planes<Real> x = b.inputs[0].own(p) + at, y = b.output.own(p) + at;
        if (!by_norm[p]) return put(y, 0, activation<f()>(load<Lane>(x, 0) + bias).value);
        const Lane n = length<Lane>(x, d, row);
        Lane a = activation<f()>(n + bias).value;
        if (unit) a = product(a, reciprocal(n));
        for (int m = 0; m < d; ++m) put(y, m * row, product(a, load<Lane>(x, m * row)));
      });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    with_activation(function, [&](auto f) {
      each_register(b, [&](int p, std::ptrdiff_t at, std::ptrdiff_t at_bias, int d, int row) {
        const Lane bias = bias_of<Lane>(b, at_bias);
        const Planes<Real> x = b.inputs[0].own(p) + at, x_bar = b.inputs[0].own_bar(p) + at;
        const Planes<Real> y_bar = b.output.own_bar(p) + at;
        if (!by_norm[p]) {
          const Lane arg = load<Lane>(x, 0) + bias;
          const Lane arg_bar = product(load<Lane>(y_bar, 0), activation<f()>(arg).slope);
          add_bias<want>(b, at_bias, arg_bar);
          return put(x_bar, 0, load<Lane>(x_bar, 0) + arg_bar);
        }
        const Lane n = length<Lane>(x, d, row), inverse = reciprocal(n);
        auto [a, slope] = activation<f()>(n + bias);
        if (unit) a = product(a, inverse), slope = product(slope, inverse);
        Lane a_bar{};
        for (int m = 0; m < d; ++m) add_product(a_bar, load<Lane>(y_bar, m * row), load<Lane>(x, m * row));
        add_bias<want>(b, at_bias, product(a_bar, slope));
        Lane n_bar = product(a_bar, slope);
        if (unit) subtract_product(n_bar, product(a_bar, a), inverse);
        const Lane along = product(n_bar, inverse);
        for (int m = 0; m < d; ++m) {
          Lane sum = load<Lane>(x_bar, m * row);
          add_product(sum, a, load<Lane>(y_bar, m * row));
          add_product(sum, along, load<Lane>(x, m * row));
          put(x_bar, m * row, sum);
        }
      });
    });
  }

 private:
  template <class Lane> static Lane bias_of(const Block<Real>& b, std::ptrdiff_t at) {
    const V bias = load_register(b.weights + at);
    if constexpr (is_dual<Lane>) return {bias, V{}};
    else return bias;
  }
  template <Want want, class Lane> static void add_bias(Block<Real>& b, std::ptrdiff_t at, Lane bar) {
    if constexpr (want.parameters) {
      if constexpr (is_dual<Lane>) registers(b.weights_bar + at)[0] += bar.dot;
      else registers(b.weights_bar + at)[0] += bar;
    }
  }
  /// sqrt(x^2 + epsilon^2) of one register of channels
  template <class Lane> Lane length(Planes<Real> x, int d, int row) const {
    Lane square{};
    for (int m = 0; m < d; ++m) add_product(square, load<Lane>(x, m * row), load<Lane>(x, m * row));
    return square_root(square + epsilon * epsilon);
  }
  /// f(part, element of the state, place of the bias, 2l+1, row) for every register of channels of every node
  template <class F> void each_register(const Block<Real>& b, F f) const {
    const Layout<Real>& layout = *b.output.layout;
    for (int p = 0; p < layout.size(); ++p) {
      const int d = layout[p].dim(), row = layout.row(p);
      for (int i = 0; i < b.n; ++i)
        for (int c = 0; c < row; c += w) f(p, std::ptrdiff_t(i) * d * row + c, first[p] + c, d, row);
    }
  }
};

}  // namespace

NB_GATE(norm_activation, "The norm non-linearity: fragments times a function of their lengths plus biases")

}  // namespace nbcore
