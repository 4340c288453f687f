// Whole files: read in one piece, replaced in one step.
#pragma once
#include <string>
#include <string_view>

namespace nbcore {

/// The bytes of a regular file. Throws IoError (absent, unreadable, a directory, a device).
std::string read_file(const std::string& path);

/// Makes `bytes` the contents of a file: written beside it, flushed to the disk, renamed. Whoever opens the path, at
/// any time, after any crash, finds the old contents or the new. Throws IoError and leaves nothing behind.
void replace_file(const std::string& path, std::string_view bytes);

}  // namespace nbcore
