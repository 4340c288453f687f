// so3/harmonics.hpp with the number types that Python cannot see. Prints the largest error of each;
// test_harmonics_header.py reads it.
#include "so3/harmonics.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

using namespace nbcore::so3;

typedef double Doubles __attribute__((vector_size(32)));
typedef float Floats __attribute__((vector_size(32)));

/// A number type of a user: sums, differences, products, products with a constant, and nothing else.
template <class T> struct Tangent {
  T value, dot;
};
template <class T> Tangent<T> operator+(Tangent<T> a, Tangent<T> b) { return {a.value + b.value, a.dot + b.dot}; }
template <class T> Tangent<T> operator-(Tangent<T> a, Tangent<T> b) { return {a.value - b.value, a.dot - b.dot}; }
template <class T> Tangent<T> operator-(Tangent<T> a) { return {-a.value, -a.dot}; }
template <class T> Tangent<T> operator*(Tangent<T> a, Tangent<T> b) {
  return {a.value * b.value, a.dot * b.value + a.value * b.dot};
}
template <class T> Tangent<T> operator*(Tangent<T> a, typename Constant<T>::Type c) { return {a.value * c, a.dot * c}; }

int main() {
  constexpr int l_max = 10, n = (l_max + 1) * (l_max + 1);
  std::mt19937 generator(1);
  std::normal_distribution<double> normal;
  double registers = 0, floats = 0, tangents = 0, second = 0;
  for (int sample = 0; sample < 50; ++sample) {
    double r[3], length = 0;
    for (double& x : r) x = normal(generator), length += x * x;
    for (double& x : r) x = float(x / std::sqrt(length));
    std::vector<double> Y(n), dY(3 * n);
    harmonics_gradient(l_max, r[0], r[1], r[2], Y.data(), dY.data());

    // registers: the numbers of the scalar to rounding (fused multiply-adds may differ), in single precision to A7
    std::vector<Doubles> D(n);
    harmonics(l_max, Doubles{} + r[0], Doubles{} + r[1], Doubles{} + r[2], D.data());
    std::vector<Floats> F(n), dF(3 * n);
    harmonics_gradient(l_max, Floats{} + float(r[0]), Floats{} + float(r[1]), Floats{} + float(r[2]), F.data(),
                       dF.data());
    for (int l = 0; l <= l_max; ++l)
      for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
        registers = std::max(registers, std::abs(D[lm][3] - Y[lm]));
        floats = std::max(floats, std::abs(double(F[lm][7]) - Y[lm]) / (3e-7 * (l + 1)));
        for (int a = 0; a < 3; ++a)
          floats = std::max(floats, std::abs(double(dF[a * n + lm][0]) - dY[a * n + lm]) / (3e-7 * (l + 1) * (l + 1)));
      }

    // tangents: harmonics along a direction v move as v . gradient, and so, by differences, does the gradient itself
    const double v[3] = {0.3, -0.5, 0.8}, h = 1e-6;
    std::vector<Tangent<Doubles>> T(n), dT(3 * n);
    Tangent<Doubles> x[3];
    for (int a = 0; a < 3; ++a) x[a] = {Doubles{} + r[a], Doubles{} + v[a]};
    harmonics_gradient(l_max, x[0], x[1], x[2], T.data(), dT.data());
    std::vector<double> unused(n), forth(3 * n), back(3 * n);
    harmonics_gradient(l_max, r[0] + h * v[0], r[1] + h * v[1], r[2] + h * v[2], unused.data(), forth.data());
    harmonics_gradient(l_max, r[0] - h * v[0], r[1] - h * v[1], r[2] - h * v[2], unused.data(), back.data());
    for (int lm = 0; lm < n; ++lm) {
      const double along = v[0] * dY[lm] + v[1] * dY[n + lm] + v[2] * dY[2 * n + lm];
      tangents = std::max({tangents, std::abs(T[lm].dot[1] - along), std::abs(T[lm].value[1] - Y[lm])});
      for (int k = lm; k < 3 * n; k += n)
        second = std::max(second, std::abs(dT[k].dot[2] - (forth[k] - back[k]) / (2 * h)));
    }
  }
  std::printf("%g %g %g %g\n", registers, floats, tangents, second);
}
