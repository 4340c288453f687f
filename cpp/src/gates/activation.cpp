// A pointwise non-linearity on scalars, y = f(x), scaled so that normal inputs keep unit size (ops/activations.hpp). The
// only step outside Fourier space, for readouts; nothing may touch l > 0 so, but numbers that multiply it: see gated.cpp.
#include "gates/gate.hpp"
#include "ops/activations.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    choice(
        "function", {"silu", "tanh", "ssp", "celu", "softplus"},
        "of even scalars: x / (1 + exp(-x)), tanh x, ln((1 + exp x) / 2), max(x, (exp(10 x) - 1) / 10), ln(1 + exp x)"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  Activation function;

  Rule(const OptionValues& o, const States& inputs, const Surroundings&)
      : function(activation_named(o.text("function"))) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    for (const Part& p : inputs[0])
      if (p.l != 0) throw InputError(message("it takes scalars only, its input has a part with l = ", p.l));
    output.assign(inputs[0].begin(), inputs[0].end());
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  std::vector<Activation> function;  // of each part

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>) {
    for (const Part& p : rule.output) function.push_back(p.parity < 0 ? Activation::tanh : rule.function);
  }

  template <class Lane> void forward(Block<Real>& b) const {
    for (int p = 0; p < b.output.layout->size(); ++p)
      activate<Lane>(function[p], b.inputs[0].own(p), b.output.own(p), numbers(b, p));
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    for (int p = 0; p < b.output.layout->size(); ++p)
      activate_adjoint<Lane>(function[p], b.inputs[0].own(p), b.output.own_bar(p), b.inputs[0].own_bar(p),
                             numbers(b, p));
  }

 private:
  static std::ptrdiff_t numbers(const Block<Real>& b, int p) { return std::ptrdiff_t(b.n) * b.output.layout->row(p); }
};

}  // namespace

NB_GATE(activation, "A function of scalars: silu, tanh, celu, softplus, shifted or not; of odd ones tanh")

}  // namespace nbcore
