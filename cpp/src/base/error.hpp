// The errors of nbcore. Each becomes the Python class of the same name (nbcore/errors.py) and a status of the C ABI.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace nbcore {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// An argument that does not fit: shape, range, NaN, a singular cell.
struct InputError : Error {
  using Error::Error;
};
/// An element the potential does not know.
struct SpeciesError : InputError {
  using InputError::InputError;
};
/// A file that is not an intact nbcore model.
struct ModelFileError : Error {
  using Error::Error;
};
/// Numbers out of hand: atoms on top of each other, an energy that is not finite.
struct NumericsError : Error {
  using Error::Error;
};

/// message("expected ", 3, ", got ", n): the pieces, one after the other.
template <class... Pieces> std::string message(const Pieces&... pieces) {
  std::ostringstream out;
  (out << ... << pieces);
  return out.str();
}

}  // namespace nbcore
