// What every function of the C ABI is wrapped in: exceptions become a status and a message of the thread.
#pragma once
#include <cstddef>
#include <cstring>
#include <new>

#include "base/error.hpp"
#include "nbcore/nbcore.h"

namespace nbcore::capi {

struct Interrupted {};  // by the caller's own function

/// Notes the message, and the errno of NBCORE_EIO, for this thread.
nbcore_status fail(nbcore_status status, const char* text, int error_number = 0);

/// Runs f; whatever it throws becomes a status.
template <class F> nbcore_status guarded(F f) noexcept {
  try {
    f();
    return NBCORE_OK;
  } catch (const ShapeError& e) {
    return fail(NBCORE_ESHAPE, e.what());
  } catch (const NonFiniteError& e) {
    return fail(NBCORE_ENONFINITE, e.what());
  } catch (const CellError& e) {
    return fail(NBCORE_ECELL, e.what());
  } catch (const SpeciesError& e) {
    return fail(NBCORE_ESPECIES, e.what());
  } catch (const InputError& e) {
    return fail(NBCORE_EARG, e.what());
  } catch (const ModelFileError& e) {
    return fail(NBCORE_EMODEL, e.what());
  } catch (const OverlapError& e) {
    return fail(NBCORE_EOVERLAP, e.what());
  } catch (const NumericsError& e) {
    return fail(NBCORE_ENUMERICS, e.what());
  } catch (const IoError& e) {
    return fail(NBCORE_EIO, e.what(), e.code);
  } catch (const Interrupted&) {
    return fail(NBCORE_EINTERRUPTED, "interrupted");
  } catch (const std::bad_alloc&) {
    return fail(NBCORE_EMEMORY, "out of memory");
  } catch (const std::exception& e) {
    return fail(NBCORE_EINTERNAL, e.what());
  } catch (...) {
    return fail(NBCORE_EINTERNAL, "unknown exception");
  }
}

inline void require(const void* argument, const char* name) {
  if (argument == nullptr) throw InputError(message(name, " is NULL"));
}

/// A struct of the caller's with a leading size, over what it begins with: callers of older releases have shorter ones,
/// those of newer ones may ask for what is not known here. least: the size that the first release gave it.
template <class T> T checked(const T* given, T beginning, std::size_t least, const char* name, const char* macro) {
  if (given == nullptr) return beginning;
  if (given->size < least || given->size > sizeof(T) || given->size % alignof(T) != 0)  // no half of a member
    throw InputError(message(name, ": size must be sizeof(nbcore_", name, "), at most ", sizeof(T), ", got ",
                             given->size, "; begin with nbcore_", name, " ", name, " = ", macro, ";"));
  std::memcpy(&beginning, given, given->size);
  return beginning;
}

}  // namespace nbcore::capi
