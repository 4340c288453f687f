// Smooth norms: invariants of every fragment of a state,
//
//   n[c] = sqrt(sum over m of psi[m][c]^2 + epsilon^2) - epsilon
//
// zero where psi is, with derivatives of every order there (a plain norm has a kink). No parameters. With `weighted` the
// norms are added to the even scalars, each times a weight of its part and channel: tensor sensitivities,
//
//   out[c] = psi^0[c] + sum over the other parts l of  t_l[c] n_l[c]
#include <algorithm>

#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    real("epsilon", 0.1, 0, 1e3, "where the norm begins to be smooth", true),
    flag("weighted", false, "true: one part, the even scalars plus the norms of all other parts times weights"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  double epsilon;
  bool weighted;
  std::vector<int> weight_of;  // [part] which row of t it has, -1: added as it is; where the norms are weighted

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : epsilon(o.real("epsilon")), weighted(o.flag("weighted")) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    for (const Part& p : inputs[0]) output.push_back({0, around.natural(0), p.groups, p.group});
    if (!weighted) return;
    int n = 0;
    for (const Part& p : inputs[0]) {
      if (p.groups != inputs[0][0].groups || p.group != inputs[0][0].group)
        throw InputError("weighted: the parts of its input must have the same channels");
      weight_of.push_back(p.l == 0 && p.parity == around.natural(0) ? -1 : n++);
    }
    if (n == 0) throw InputError("weighted: its input has even scalars alone, there is no norm to add to them");
    output.resize(1);
    parameters.push_back({"t", {n, output[0].channels()}});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  Real epsilon;
  bool weighted;
  std::vector<int> weight_of;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : epsilon(Real(rule.epsilon)), weighted(rule.weighted), weight_of(rule.weight_of) {
    if (!weighted) return;
    const Layout<Real> out(rule.output);
    const std::int64_t n = rule.parameters[0].shape[0], channels = rule.parameters[0].shape[1];
    for (std::int64_t k = 0; k < n; ++k)
      for (int at = 0, c = 0; at < out.row(0); ++at)
        if (c < channels && out.position(0, c) == at) this->packing.weight(k * channels + c++, 1);
        else this->packing.zeros(1);
  }

  template <class Lane> void forward(Block<Real>& b) const {
    if (weighted) return forward_weighted<Lane>(b);
    each_register(b, [&](int p, std::ptrdiff_t at_x, std::ptrdiff_t at_n, int d, int row) {
      const Planes<Real> x = b.inputs[0].own(p) + at_x;
      put(b.output.own(p), at_n, length<Lane>(x, d, row) - epsilon);
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    each_register(b, [&](int p, std::ptrdiff_t at_x, std::ptrdiff_t at_n, int d, int row) {
      const Planes<Real> x = b.inputs[0].own(p) + at_x, x_bar = b.inputs[0].own_bar(p) + at_x;
      Lane bar = load<Lane>(b.output.own_bar(weighted ? 0 : p), at_n);
      if (weighted && weight_of[p] < 0) return put(x_bar, 0, load<Lane>(x_bar, 0) + bar);
      const Lane n = length<Lane>(x, d, row);
      if (weighted) {
        const std::ptrdiff_t at = weight_of[p] * std::ptrdiff_t(row) + at_n % row;
        if constexpr (want.parameters) add_gradient(registers(b.weights_bar + at)[0], bar, n - epsilon);
        bar = product(load_register(b.weights + at), bar);
      }
      const Lane along = product(bar, reciprocal(n));
      for (int m = 0; m < d; ++m) {
        Lane sum = load<Lane>(x_bar, m * row);
        add_product(sum, along, load<Lane>(x, m * row));
        put(x_bar, m * row, sum);
      }
    });
  }

 private:
  template <class Lane> void forward_weighted(Block<Real>& b) const {
    b.output.template clear<Lane>(0, b.n);
    each_register(b, [&](int p, std::ptrdiff_t at_x, std::ptrdiff_t at_n, int d, int row) {
      const Planes<Real> x = b.inputs[0].own(p) + at_x, out = b.output.own(0) + at_n;
      Lane sum = load<Lane>(out, 0);
      if (weight_of[p] < 0) sum = sum + load<Lane>(x, 0);
      else
        add_product(sum, load_register(b.weights + weight_of[p] * std::ptrdiff_t(row) + at_n % row),
                    length<Lane>(x, d, row) - epsilon);
      put(out, 0, sum);
    });
  }
  /// sqrt(x^2 + epsilon^2) of one register of channels
  template <class Lane> Lane length(Planes<Real> x, int d, int row) const {
    Lane square{};
    for (int m = 0; m < d; ++m) add_product(square, load<Lane>(x, m * row), load<Lane>(x, m * row));
    return square_root(square + epsilon * epsilon);
  }
  /// f(part, element of the state, element of the output, 2l+1, row) for every register of channels of every node
  template <class F> void each_register(const Block<Real>& b, F f) const {
    const Layout<Real>& layout = *b.inputs[0].layout;
    for (int p = 0; p < layout.size(); ++p) {
      const int d = layout[p].dim(), row = layout.row(p);
      for (int i = 0; i < b.n; ++i)
        for (int c = 0; c < row; c += width<Real>)
          f(p, std::ptrdiff_t(i) * d * row + c, std::ptrdiff_t(i) * row + c, d, row);
    }
  }
};

}  // namespace

NB_GATE(norm, "Smooth norms of fragments, n = sqrt(|psi|^2 + epsilon^2) - epsilon")

}  // namespace nbcore
