#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/error.hpp"

namespace nbcore {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : path_(path), number_(::open(path.c_str(), flags, mode)) {
    if (number_ < 0) throw IoError(errno, path);
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  struct stat status() const {
    struct stat s;
    if (::fstat(number_, &s) != 0) throw IoError(errno, path_);
    return s;
  }
  std::size_t read(char* to, std::size_t size) const {
    for (;;) {
      const ssize_t n = ::read(number_, to, size);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR) throw IoError(errno, path_);
    }
  }
  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::write(number_, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) throw IoError(errno, path_);
      if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void sync() const {
    if (::fsync(number_) != 0) throw IoError(errno, path_);
  }
  void close() {
    const int status = ::close(number_);
    number_ = -1;
    if (status != 0) throw IoError(errno, path_);
  }

 private:
  std::string path_;
  int number_;
};

/// A path with a zero byte would name another file than the caller thinks.
void check_path(const std::string& path) {
  if (path.find('\0') != path.npos) throw InputError("path: holds a zero byte");
}

}  // namespace

std::string read_file(const std::string& path) {
  check_path(path);
  const Descriptor file(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make us wait
  const auto status = file.status();
  if (S_ISDIR(status.st_mode)) throw IoError(EISDIR, path);
  if (!S_ISREG(status.st_mode)) throw IoError(EINVAL, path);
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const std::size_t n = file.read(bytes.data() + size, bytes.size() - size);
    if (n == 0) break;
    size += n;
  }
  bytes.resize(size);
  return bytes;
}

void replace_file(const std::string& path, std::string_view bytes) {
  check_path(path);
  static std::atomic<unsigned> counter{0};
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = slash == path.npos ? path : path.substr(slash + 1);
  const std::string temporary =
      folder + "/." + name.substr(0, 200) + "." + std::to_string(::getpid()) + "." + std::to_string(counter++) + ".tmp";
  try {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    try {
      file.write(bytes);
      file.sync();
      file.close();
      if (::rename(temporary.c_str(), path.c_str()) != 0) throw IoError(errno, path);
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
  } catch (const IoError& e) {
    throw IoError(e.code, path);  // of the two names the one that the caller knows
  }
  Descriptor(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC).sync();  // the new name must outlive a crash too
}

}  // namespace nbcore
