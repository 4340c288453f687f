// The embeddings of the atomic cluster expansion, pointwise functions of scalars, odd, with an exponent for each channel
// (Y. Lysogorskiy et al., npj Comput. Mater. 7 (2021) 97):
//
//   smooth   F = sgn(x) ((1 - g) |x|^m + w^(1-m) g |x|),   g = exp(-(w |x|)^3), w = 10^6: |x|^m, linear where x is tiny
//   shifted  F = sgn(x) ((a + |x|)^m - b),   n = 1/m, a = n^(n/(1-n)) e^-|x|, b = n^(1/(1-n)) e^-|x|; x where m = 1
//
// The root of a density, m = 1/2, is the embedding of Finnis and Sinclair. No weights; a mix gate behind it adds up.
#include <cmath>

#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    choice("form", {"smooth", "shifted"}, "what replaces |x|^m near zero: smooth, linear below 1e-6; or shifted"),
    reals("exponents", "m of each channel, above 0 and at most 4; ones where none is given"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  bool shifted;
  std::vector<double> exponents;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : shifted(o.is("form", "shifted")), exponents(o.numbers("exponents")) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    const std::span<const Part> in = inputs[0];
    if (in.size() != 1 || in[0].l != 0 || in[0].parity != around.natural(0) || in[0].groups != 1)
      throw InputError("it takes even scalars, one group of them");
    if (exponents.empty()) exponents.assign(in[0].channels(), 1.0);
    if (int(exponents.size()) != in[0].channels())
      throw InputError(message("exponents needs a number per channel, ", in[0].channels(), ", got ", exponents.size()));
    for (double m : exponents)
      if (!(m > 0 && m <= 4)) throw InputError(message("exponents must be above 0 and at most 4, got ", m));
    output.assign(in.begin(), in.end());
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  static constexpr Real sharpness = Real(1e6), least = Real(1e-12);  // below, only the linear part is left
  bool shifted;
  int row;
  Buffer<Real> m, a, b, slope_at_zero;  // by place in a row

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : shifted(rule.shifted), row(padded<Real>(int(rule.exponents.size()))) {
    for (Buffer<Real>* numbers : {&m, &a, &b, &slope_at_zero}) numbers->resize(row);
    for (int c = 0; c < row; ++c) {
      const double exponent = c < int(rule.exponents.size()) ? rule.exponents[c] : 1, n = 1 / exponent;
      m.data()[c] = Real(exponent);
      a.data()[c] = Real(exponent == 1 ? 1 : std::pow(n, n / (1 - n)));  // with m = 1 any a = b makes it x
      b.data()[c] = Real(exponent == 1 ? 1 : std::pow(n, 1 / (1 - n)));
      slope_at_zero.data()[c] = Real(std::pow(double(sharpness), 1 - exponent));
    }
  }

  template <class Lane> void forward(Block<Real>& block) const {
    const Planes<Real> x = block.inputs[0].own(0), y = block.output.own(0);
    each(block, [&](std::ptrdiff_t k, int c) { put(y, k, embedding(load<Lane>(x, k), c).f); });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& block) const {
    const Planes<Real> x = block.inputs[0].own(0), y_bar = block.output.own_bar(0), x_bar = block.inputs[0].own_bar(0);
    each(block, [&](std::ptrdiff_t k, int c) {
      Lane sum = load<Lane>(x_bar, k);
      add_product(sum, load<Lane>(y_bar, k), embedding(load<Lane>(x, k), c).df);
      put(x_bar, k, sum);
    });
  }

 private:
  /// f(where a register lies, its place in the row)
  template <class F> void each(const Block<Real>& block, F f) const {
    for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(block.n) * row; k += w) f(k, int(k % row));
  }
  static V at(const Buffer<Real>& numbers, int c) { return load_register(numbers.data() + c); }
  /// |x|, and `least` where it is smaller
  static V size(V x, Real least) {
    const V y = x < Real(0) ? -x : x;
    return y < least ? V{} + least : y;
  }
  static Dual<V> size(Dual<V> x, Real least) {
    const V y = x.value < Real(0) ? -x.value : x.value, dot = x.value < Real(0) ? -x.dot : x.dot;
    return {y < least ? V{} + least : y, y < least ? V{} : dot};
  }
  /// F and F'
  template <class Lane> Slope<Lane> embedding(Lane x, int c) const {
    const V exponent = at(m, c), sign = value_of(x) < Real(0) ? V{} - Real(1) : V{} + Real(1);
    if (shifted) {
      const Lane y = product(sign, x), e = exponential(-y), shift = product(at(a, c), e), below = product(at(b, c), e);
      const Lane s = size(shift + y, least), log_s = logarithm(s), power = exponential(product(exponent, log_s));
      const Lane slope = product(product(exponent, power * reciprocal(s)), plus(-shift, V{} + Real(1))) + below;
      return {product(sign, power - below), slope};
    }
    const Lane y = size(x, Real(0)), far = size(x, least), log_y = logarithm(far);
    const Lane power = exponential(product(exponent, log_y)), slope = product(exponent, power * reciprocal(far));
    const Lane scaled = y * sharpness, square = scaled * scaled, g = exponential(-(square * scaled));
    const Lane rest = plus(-g, V{} + Real(1)), linear = product(at(slope_at_zero, c), g);
    const Lane g_slope = square * g * (Real(-3) * sharpness);  // dg/dy
    return {product(sign, rest * power + linear * y),
            rest * slope + linear + g_slope * (product(at(slope_at_zero, c), y) - power)};
  }
};

}  // namespace

NB_GATE(finnis_sinclair, "Embeddings of densities, sgn(x) |x|^m, smooth at zero: those of ACE")

}  // namespace nbcore
