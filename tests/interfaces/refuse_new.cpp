// Stands before operator new of every library: once armed, one allocation after so many others is refused.
// tests/interfaces/test_memory_errors.py compiles it and loads it before Python.
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> left = -1;  // allocations until one is refused; negative: none is
std::atomic<long> alive = 0;  // allocations that have not been given back

void* allocate(std::size_t size, std::size_t alignment) {
  if (left >= 0 && left-- == 0) throw std::bad_alloc();
  void* p = nullptr;
  if (posix_memalign(&p, alignment, size + (size == 0)) != 0) throw std::bad_alloc();
  ++alive;
  return p;
}

void release(void* p) {
  if (p != nullptr) --alive, std::free(p);
}

}  // namespace

extern "C" void refuse_after(long n) { left = n; }
extern "C" long refuse_end() { return left.exchange(-1); }
extern "C" long not_given_back() { return alive; }

void* operator new(std::size_t n) { return allocate(n, 16); }
void* operator new[](std::size_t n) { return allocate(n, 16); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate(n, std::size_t(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate(n, std::size_t(a)); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { release(p); }
