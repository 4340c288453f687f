// Node-wise products of a state with itself, channel by channel, up to correlation 3 (eq. 11, factorised; ACE's B
// basis).
//
//   out[L][m] = sum w1 A[L][m] + sum w2 (A A)[L][m] + sum w3 ((A A) A)[L][m]
//
// with weights per species of the node and per channel, in the independent symmetric basis of ops/symmetric_products.
// Products of three: weights on the pairs, summed over pairs that share (l12, l3), coupled once. One register of
// channels goes through the whole program before the next.
#include "gates/gate.hpp"
#include "ops/straight_products.hpp"
#include "ops/symmetric_products.hpp"

namespace nbcore {

namespace {
SymmetricProducts make_products(const Options& spec, const std::vector<std::vector<Part>>& inputs, bool o3) {
  if (inputs.size() != 1) throw InputError("gate self_product: takes one input");
  std::vector<int> ls;
  for (const Part& p : inputs[0]) ls.push_back(p.l);
  return {ls, spec.whole("l_max", 1, 0, max_l_network), spec.whole("correlation", 3, 1, 3), o3};
}
}  // namespace

template <class Real> class SelfProduct : public GateOf<SelfProduct<Real>, Real> {
  static constexpr int w = width<Real>;
  SymmetricProducts s;
  int channels, row;

  const StraightProducts* straight = nullptr;

  template <class Lane> struct Slots {  // one register of channels of one node
    Lane *A, *pairs, *sums, *out;
  };
  template <class Lane> Slots<Lane> take(Scratch<Real>& scratch) const {
    Lane* all = reinterpret_cast<Lane*>(
        scratch.take(std::size_t(s.n_A + s.n_pairs + s.n_sums + s.n_out) * sizeof(Lane) / sizeof(Real)));
    return {all, all + s.n_A, all + s.n_A + s.n_pairs, all + s.n_A + s.n_pairs + s.n_sums};
  }
  template <class Lane> const StraightKernels<Lane>* straight_kernels() const {
    return straight ? straight->kernels<Lane>() : nullptr;
  }

 public:
  SelfProduct(const Options& spec, const std::vector<std::vector<Part>>& inputs, Surroundings& around)
      : s(make_products(spec, inputs, around.o3)) {
    this->overwrites = true;
    channels = inputs[0][0].channels();
    for (const Part& p : inputs[0]) {
      if (p.groups != 1 || p.group != channels)
        throw InputError("gate self_product: all parts of the input must have the same channels; mix first");
      if (around.o3 && p.parity != (p.l % 2 ? -1 : 1)) throw InputError("gate self_product: natural parity expected");
    }
    const std::string kernel = spec.get<std::string>("kernel", "auto");
    if (kernel != "auto" && kernel != "table")
      throw InputError(message("gate self_product: kernel must be \"auto\" or \"table\", got \"", kernel, "\""));
    if (around.o3 && kernel == "auto") straight = straight_products(s.ls, s.L_max, s.correlation);
    row = padded<Real>(channels);
    for (int L : s.outputs) this->output.push_back({L, around.o3 ? (L % 2 ? -1 : 1) : 0, 1, channels});
    this->parameters.push_back({"w", {around.n_species, s.n_weights, channels}});
    this->packing.resize(std::size_t(around.n_species) * s.n_weights * row);  // [species][register][weight][lane]
    for (int z = 0; z < around.n_species; ++z)
      for (int k = 0; k < s.n_weights; ++k)
        for (int c = 0; c < channels; ++c)
          this->packing[((std::size_t(z) * (row / w) + c / w) * s.n_weights + k) * w + c % w] = {
              (std::int64_t(z) * s.n_weights + k) * channels + c, 1 / std::sqrt(double(s.fan_in[k]))};
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const Slots<Lane> x = take<Lane>(*b.scratch);
    const StraightKernels<Lane>* kernels = straight_kernels<Lane>();
    each(b, [&](int i, int c, std::size_t at) {
      const auto* weights = reinterpret_cast<const Simd<Real>*>(b.weights + at);
      rows(b.inputs[0], i, c, false, [&](int slot, Planes<Real> p) { x.A[slot] = load<Lane>(p, 0); });
      if (kernels) {
        kernels->forward(weights, x.A, x.out);
      } else {
        products(weights, x);
        std::fill(x.out, x.out + s.n_out, Lane{});
        s.couple_sums.add(x.sums, x.A, x.out);
        s.each_direct([&](int weight, int from, int to, bool pair) {
          add_product(x.out[to], weights[weight], (pair ? x.pairs : x.A)[from]);
        });
      }
      rows(b.output, i, c, false, [&](int slot, Planes<Real> p) { put(p, 0, x.out[slot]); });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    const Slots<Lane> x = take<Lane>(*b.scratch), bar = take<Lane>(*b.scratch);
    const StraightKernels<Lane>* kernels = straight_kernels<Lane>();
    const auto straight_line = !kernels ? nullptr : want.parameters ? kernels->adjoint_weights : kernels->adjoint;
    each(b, [&](int i, int c, std::size_t at) {
      const auto* weights = reinterpret_cast<const Simd<Real>*>(b.weights + at);
      auto* weights_bar = reinterpret_cast<Simd<Real>*>(b.weights_bar + (want.parameters ? at : 0));
      rows(b.inputs[0], i, c, false, [&](int slot, Planes<Real> p) { x.A[slot] = load<Lane>(p, 0); });
      rows(b.output, i, c, true, [&](int slot, Planes<Real> p) { bar.out[slot] = load<Lane>(p, 0); });
      if (straight_line) {
        straight_line(weights, x.A, bar.out, bar.A, weights_bar);
      } else {
        products(weights, x);
        std::fill(bar.A, bar.A + s.n_A + s.n_pairs + s.n_sums, Lane{});
        s.each_direct([&](int weight, int from, int to, bool pair) {
          add_product((pair ? bar.pairs : bar.A)[from], weights[weight], bar.out[to]);
          if constexpr (want.parameters) add_gradient(weights_bar[weight], bar.out[to], (pair ? x.pairs : x.A)[from]);
        });
        s.couple_sums_a.add(bar.out, x.A, bar.sums);
        s.couple_sums_b.add(bar.out, x.sums, bar.A);
        s.each_summand([&](int weight, int from, int to) {
          add_product(bar.pairs[from], weights[weight], bar.sums[to]);
          if constexpr (want.parameters) add_gradient(weights_bar[weight], bar.sums[to], x.pairs[from]);
        });
        s.couple_pairs_a.add(bar.pairs, x.A, bar.A);
        s.couple_pairs_b.add(bar.pairs, x.A, bar.A);
      }
      rows(b.inputs[0], i, c, true, [&](int slot, Planes<Real> p) {
        if (b.inputs[0].fresh) return put(p, 0, bar.A[slot]);
        Lane sum = load<Lane>(p, 0);
        add_product(sum, Real(1), bar.A[slot]);
        put(p, 0, sum);
      });
    });
  }

 private:
  /// Pairs and sums of one node and register, from the tables
  template <class Lane> void products(const Simd<Real>* weights, const Slots<Lane>& x) const {
    std::fill(x.pairs, x.pairs + s.n_pairs + s.n_sums, Lane{});
    s.couple_pairs.add(x.A, x.A, x.pairs);
    s.each_summand([&](int weight, int from, int to) { add_product(x.sums[to], weights[weight], x.pairs[from]); });
  }
  /// f(node, first channel, place of the weights)
  template <class F> void each(Block<Real>& b, F f) const {
    for (int z = 0; z < b.n_species; ++z)
      for (int i = b.species_first[z]; i < b.species_first[z + 1]; ++i)
        for (int c = 0; c < row; c += w) f(i, c, (std::size_t(z) * (row / w) + c / w) * s.n_weights * w);
  }
  /// f(slot, where the register lies) for all components of a state
  template <class F> void rows(const State<Real>& state, int i, int c, bool bar, F f) const {
    for (int p = 0, slot = 0; p < state.layout->size(); ++p) {
      const Planes<Real> part = (bar ? state.own_bar(p) : state.own(p)) + c;
      const int d = (*state.layout)[p].dim();
      for (int m = 0; m < d; ++m) f(slot++, part + (std::ptrdiff_t(i) * d + m) * row);
    }
  }
};

NB_GATE(SelfProduct, "self_product",
        "Symmetric products of a state with itself, channel by channel, to correlation 3 (eq. 11, factorised)", R"({
  "l_max": {"type": "int", "default": 1, "doc": "largest l of the output"},
  "correlation": {"type": "int", "default": 3, "doc": "largest number of factors"},
  "kernel": {"type": "str", "default": "auto", "doc": "auto: straight-line code where the library has it; table: never, what such code is compared with"}})")

}  // namespace nbcore
