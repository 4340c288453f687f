#include "potential/outputs.hpp"

namespace nbcore {

namespace {

/// f(component, part, place, stride): component c of node i is own(part)[place + i * stride]
template <class Real, class F> void each_component(const Layout<Real>& layout, F f) {
  int component = 0;
  for (int p = 0; p < layout.size(); ++p) {
    const int row = layout.row(p);
    for (int m = 0; m < layout[p].dim(); ++m, ++component)
      f(component, p, std::ptrdiff_t(m) * row + layout.position(p, 0), std::ptrdiff_t(layout[p].dim()) * row);
  }
}

constexpr int axis_of[3] = {1, 2, 0};  // m = -1, 0, 1 are y, z, x

Vec3 centre(const std::vector<Vec3>& positions) {
  Vec3 mean{};
  for (const Vec3& r : positions)
    for (int a = 0; a < 3; ++a) mean[a] += r[a] / double(positions.size());
  return mean;
}

}  // namespace

template <class Real>
void read_output(const State<Real>& state, int width, const std::int32_t* order, int n, double* to) {
  each_component(*state.layout, [&](int c, int part, std::ptrdiff_t place, std::ptrdiff_t stride) {
    const Real* x = state.own(part).value + place;
    for (int i = 0; i < n; ++i) to[std::ptrdiff_t(order[i]) * width + c] = x[i * stride];
  });
}

template void read_output(const State<double>&, int, const std::int32_t*, int, double*);
template void read_output(const State<float>&, int, const std::int32_t*, int, double*);

template <class Real> void seed_output(const State<Real>& state, int width, const std::int32_t* order, int n, bool dual,
                                       double weight, const double* seeds) {
  each_component(*state.layout, [&](int c, int part, std::ptrdiff_t place, std::ptrdiff_t stride) {
    const Planes<Real> bar = state.own_bar(part);
    Real* to = (dual ? bar.dot : bar.value) + place;
    for (int i = 0; i < n; ++i) to[i * stride] += Real(weight * seeds[std::ptrdiff_t(order[i]) * width + c]);
  });
}

template void seed_output(const State<double>&, int, const std::int32_t*, int, bool, double, const double*);
template void seed_output(const State<float>&, int, const std::int32_t*, int, bool, double, const double*);

std::vector<double> output_forward(const OutputContext& context, std::vector<double> nodes) {
  const Network::Output& o = context.output;
  if (o.per_atom) {
    for (std::size_t i = 0; i < context.species.size(); ++i) nodes[i * o.width] += context.offsets[context.species[i]];
    return nodes;
  }
  std::vector<double> y(o.components, 0.0);
  if (o.charges) {
    const Vec3 mean = centre(context.positions);
    for (std::size_t i = 0; i < context.species.size(); ++i) {
      const double* x = nodes.data() + i * o.width;
      const double charge = x[0] + context.offsets[context.species[i]];
      for (int m = 0; m < 3; ++m)  // sum (q_i - mean q) r_i = sum q_i (r_i - mean r)
        y[m] += x[1 + m] + charge * (context.positions[i][axis_of[m]] - mean[axis_of[m]]);
    }
    return y;
  }
  for (std::size_t k = 0; k < nodes.size(); ++k) y[k % o.width] += nodes[k];
  for (int z : context.species) y[0] += context.offsets[z];
  return y;
}

std::vector<double> output_adjoint(const OutputContext& context, int n, const std::vector<double>& y_bar) {
  const Network::Output& o = context.output;
  if (o.per_atom) return y_bar;
  std::vector<double> nodes(std::size_t(n) * o.width);
  if (!o.charges) {
    for (std::size_t k = 0; k < nodes.size(); ++k) nodes[k] = y_bar[k % o.width];
    return nodes;
  }
  const Vec3 mean = centre(context.positions);
  for (int i = 0; i < n; ++i) {
    double* x = nodes.data() + std::ptrdiff_t(i) * o.width;
    x[0] = 0;
    for (int m = 0; m < 3; ++m) {
      x[1 + m] = y_bar[m];
      x[0] += y_bar[m] * (context.positions[i][axis_of[m]] - mean[axis_of[m]]);
    }
  }
  return nodes;
}

}  // namespace nbcore
