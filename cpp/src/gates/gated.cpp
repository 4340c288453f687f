// The gated non-linearity (Weiler et al., arXiv:1807.02547): scalars g of a second state open and close the fragments of
// the first one, channel by channel,
//
//   out^l[m][c] = a(g[c]) psi^l[m][c]      l > 0
//   out^0[c]    = f(psi^0[c])
//
// a(g) is a number that does not turn, so that out^l turns as psi^l does; a pointwise function of psi^l[m] itself would
// not. The channels of g belong to those of the parts with l > 0, in order. No parameters: a mix makes g. f of odd scalars
// is tanh, which is odd; an odd g would change the parity of what it multiplies, and is refused.
#include <algorithm>

#include "gates/gate.hpp"
#include "ops/activations.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    choice(
        "function", {"silu", "tanh", "ssp", "celu", "softplus"},
        "of even scalars: x / (1 + exp(-x)), tanh x, ln((1 + exp x) / 2), max(x, (exp(10 x) - 1) / 10), ln(1 + exp x)"),
    choice("gate_function", {"silu", "sigmoid", "tanh", "ssp", "celu", "softplus"},
           "of the scalars that gate; sigmoid: 1 / (1 + exp(-x))"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  Activation function, gate_function;

  Rule(const OptionValues& o, const States& inputs, const Surroundings&)
      : function(activation_named(o.text("function"))), gate_function(activation_named(o.text("gate_function"))) {
    if (inputs.size() != 2) throw InputError("it takes two inputs, a state and the scalars that gate it");
    std::int64_t gated = 0, gates = 0;  // channels
    for (const Part& p : inputs[0]) gated += p.l > 0 ? p.channels() : 0;
    for (const Part& p : inputs[1]) {
      if (p.l != 0 || p.parity < 0) throw InputError("its second input must be scalars of even parity only");
      gates += p.channels();
    }
    if (gated == 0) throw InputError("its first input has no part with l > 0; activation is for scalars alone");
    if (gated != gates)
      throw InputError(message("its second input needs a scalar for every channel with l > 0 of the first, ", gated,
                               ", got ", gates));
    output.assign(inputs[0].begin(), inputs[0].end());
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  struct Run {  // neighbouring channels of a part of the second input, and where they go in the copy
    int part;
    std::ptrdiff_t from, to, n;
  };
  std::vector<Run> runs;
  std::vector<std::ptrdiff_t> start;  // of each part with l > 0 in the copy, whose rows are those of the parts
  std::ptrdiff_t size = 0;            // of the copy
  Activation function, gate_function;

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace>)
      : function(rule.function), gate_function(rule.gate_function) {
    const Layout<Real> state = layout_of<Real>(inputs[0]), gates = layout_of<Real>(inputs[1]);
    int part = 0, channel = 0;
    for (int p = 0; p < state.size(); ++p) {
      start.push_back(size);
      if (state[p].l == 0) continue;
      for (int c = 0; c < state[p].channels(); ++c) {
        if (channel == gates[part].channels()) ++part, channel = 0;
        const std::ptrdiff_t from = gates.position(part, channel++), to = size + state.position(p, c);
        if (!runs.empty() && runs.back().part == part && runs.back().from + runs.back().n == from &&
            runs.back().to + runs.back().n == to)
          ++runs.back().n;
        else runs.push_back({part, from, to, 1});
      }
      size += state.row(p);
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    each_scalar(
        b, [&](int p, Activation f, std::ptrdiff_t n) { activate<Lane>(f, b.inputs[0].own(p), b.output.own(p), n); });
    const Planes<Real> g = copy<Lane>(b);
    with_activation(gate_function, [&](auto f) {
      for (int i = 0; i < b.n; ++i) {
        gather<Lane>(b, i, g);
        each_gated(b, i, [&](int p, std::ptrdiff_t at, std::ptrdiff_t at_g, int d, int row) {
          const Planes<Real> x = b.inputs[0].own(p) + at, y = b.output.own(p) + at;
          const Lane a = activation<f()>(load<Lane>(g, at_g)).value;
          for (int m = 0; m < d; ++m) put(y, m * row, product(a, load<Lane>(x, m * row)));
        });
      }
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    each_scalar(b, [&](int p, Activation f, std::ptrdiff_t n) {
      activate_adjoint<Lane>(f, b.inputs[0].own(p), b.output.own_bar(p), b.inputs[0].own_bar(p), n);
    });
    const Planes<Real> g = copy<Lane>(b);  // turns into the adjoint of g
    with_activation(gate_function, [&](auto f) {
      for (int i = 0; i < b.n; ++i) {
        gather<Lane>(b, i, g);
        each_gated(b, i, [&](int p, std::ptrdiff_t at, std::ptrdiff_t at_g, int d, int row) {
          const Planes<Real> x = b.inputs[0].own(p) + at, x_bar = b.inputs[0].own_bar(p) + at;
          const Planes<Real> y_bar = b.output.own_bar(p) + at;
          const auto [a, slope] = activation<f()>(load<Lane>(g, at_g));
          Lane a_bar{};
          for (int m = 0; m < d; ++m) {
            const Lane along = load<Lane>(y_bar, m * row);
            add_product(a_bar, along, load<Lane>(x, m * row));
            Lane sum = load<Lane>(x_bar, m * row);
            add_product(sum, along, a);
            put(x_bar, m * row, sum);
          }
          put(g, at_g, product(a_bar, slope));
        });
        scatter<Lane>(b, i, g);
      }
    });
  }

 private:
  /// Memory for the gates of one node in the order of the state's channels; zeros where these have padding
  template <class Lane> Planes<Real> copy(Block<Real>& b) const {
    const Planes<Real> g = b.scratch->take_planes(size, is_dual<Lane>);
    fill(g.value, size, 0);
    if constexpr (is_dual<Lane>) fill(g.dot, size, 0);
    return g;
  }
  template <class Lane> void gather(const Block<Real>& b, int i, Planes<Real> g) const {
    for (const Run& r : runs) {
      const Planes<Real> from = b.inputs[1].own(r.part) + i * std::ptrdiff_t(b.inputs[1].layout->row(r.part)) + r.from;
      nbcore::copy(from.value, r.n, g.value + r.to);
      if constexpr (is_dual<Lane>) nbcore::copy(from.dot, r.n, g.dot + r.to);
    }
  }
  template <class Lane> void scatter(const Block<Real>& b, int i, Planes<Real> g_bar) const {
    for (const Run& r : runs) {
      const std::ptrdiff_t at = i * std::ptrdiff_t(b.inputs[1].layout->row(r.part)) + r.from;
      Real* to = written<Lane>(b.inputs[1].own_bar(r.part)) + at;
      for_lanes(r.n, [&](std::ptrdiff_t k) { to[k] += written<Lane>(g_bar)[r.to + k]; });
    }
  }
  /// f(part, function, numbers of the block) for every part of scalars
  template <class F> void each_scalar(const Block<Real>& b, F f) const {
    const Layout<Real>& layout = *b.output.layout;
    for (int p = 0; p < layout.size(); ++p)
      if (layout[p].l == 0)
        f(p, layout[p].parity < 0 ? Activation::tanh : function, std::ptrdiff_t(b.n) * layout.row(p));
  }
  /// f(part, element of the state, element of the copy, 2l+1, row) for every register of other channels of node i
  template <class F> void each_gated(const Block<Real>& b, int i, F f) const {
    const Layout<Real>& layout = *b.output.layout;
    for (int p = 0; p < layout.size(); ++p) {
      if (layout[p].l == 0) continue;
      const int d = layout[p].dim(), row = layout.row(p);
      for (int c = 0; c < row; c += width<Real>) f(p, std::ptrdiff_t(i) * d * row + c, start[p] + c, d, row);
    }
  }
};

}  // namespace

NB_GATE(gated,
        "The gated non-linearity: scalars through a function, all else times functions of a second state's scalars")

}  // namespace nbcore
