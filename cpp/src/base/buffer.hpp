// Aligned memory that grows and is never given back before the end: the steady state allocates nothing.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>

#include "base/lanes.hpp"

namespace nbcore {

/// n numbers on a 64-byte boundary. resize keeps nothing; where it fails, everything is as it was.
template <class T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n) { resize(n); }
  void resize(std::size_t n) {
    if (n > capacity_) {
      if (n > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) throw std::bad_array_new_length();
      data_.reset(static_cast<T*>(::operator new[](n * sizeof(T), std::align_val_t(64))));
      capacity_ = n;
    }
    size_ = n;
  }
  void clear() { std::fill_n(data_.get(), size_, T{}); }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  T& operator[](std::size_t k) { return data_.get()[k]; }
  const T& operator[](std::size_t k) const { return data_.get()[k]; }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete[](p, std::align_val_t(64)); }
  };
  std::unique_ptr<T[], Free> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

/// An array with a value plane and, when asked for, a tangent plane.
template <class T> struct PlaneBuffer {
  Buffer<T> value, dot;
  void resize(std::size_t n, bool dual) {
    value.resize(n);
    if (dual) dot.resize(n);
  }
  void clear(bool dual) {
    value.clear();
    if (dual) dot.clear();
  }
  Planes<T> planes() { return {value.data(), dot.data()}; }
};

}  // namespace nbcore
