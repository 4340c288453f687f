#include "potential/model_file.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "potential/sha256.hpp"

namespace nbcore {
namespace {

using Json = nlohmann::json;  // whose objects find a key in logarithmic time

constexpr int newest_version = 1;
constexpr const char* needed_release = "0.1.0";
constexpr std::string_view opening = R"({"__metadata__":{"format":"nbcore","version":")";
constexpr std::size_t digest_digits = 64;

/// Sees a JSON text go by, and stops what an attacker may not have: the same key twice, depth, more values than would
/// fit into bounded memory. Nothing is built.
struct Guard : nlohmann::json_sax<Json> {
  std::vector<std::vector<std::string>> keys;  // of the objects and lists that are open
  std::size_t values = 0;

  bool value() {
    if (++values > most_json_values) throw ModelFileError(message("more than ", most_json_values, " JSON values"));
    return true;
  }
  bool open() {
    if (keys.size() >= deepest_nesting) throw ModelFileError(message("nested deeper than ", deepest_nesting));
    keys.emplace_back();
    return value();
  }
  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(std::int64_t) override { return value(); }
  bool number_unsigned(std::uint64_t) override { return value(); }
  bool number_float(double, const std::string&) override { return value(); }
  bool string(std::string&) override { return value(); }
  bool binary(Json::binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool key(std::string& name) override {
    keys.back().push_back(std::move(name));
    return true;
  }
  bool end_array() override {
    keys.pop_back();
    return true;
  }
  bool end_object() override {
    auto& here = keys.back();
    std::sort(here.begin(), here.end());
    const auto twice = std::adjacent_find(here.begin(), here.end());
    if (twice != here.end()) throw ModelFileError(message("key ", shown(*twice), " stands there twice"));
    return end_array();
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    throw ModelFileError(shown(e.what()));
  }
};

/// A text that is a JSON object without duplicate keys and without depth.
void check_json(std::string_view text) {
  Guard guard;
  Json::sax_parse(text, &guard);
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos || text[first] != '{') throw ModelFileError("not an object");
}

void swap_if_big_endian(std::span<double> data) {
  if constexpr (std::endian::native == std::endian::big)
    for (double& x : data) x = std::bit_cast<double>(__builtin_bswap64(std::bit_cast<std::uint64_t>(x)));
}

std::string little_endian(std::uint64_t n) {
  std::string out;
  for (int k = 0; k < 8; ++k) out += static_cast<char>(n >> 8 * k & 0xff);
  return out;
}

/// Number of elements, or nothing where a dimension is negative or there are more than any array can have.
std::optional<std::int64_t> n_elements(const std::vector<std::int64_t>& shape) {
  if (shape.size() > most_dimensions) return std::nullopt;
  std::int64_t bytes = 8;
  bool empty = false;
  for (const auto dimension : shape) {
    empty |= dimension == 0;
    if (dimension < 0 || __builtin_mul_overflow(bytes, std::max<std::int64_t>(dimension, 1), &bytes))
      return std::nullopt;
  }
  return empty ? 0 : bytes / 8;
}

// ---- writing ----

std::string header_of(const ModelFile& file) {
  std::string text =
      message(opening, newest_version, R"(","needs":")", needed_release, R"(","sha256":")",
              std::string(digest_digits, '0'), R"(","description":)", Json(file.description).dump(), "}");
  std::set<std::string_view> names{"__metadata__"};
  std::int64_t offset = 0;
  for (const Tensor& tensor : file.tensors) {
    if (tensor.name.empty() || !names.insert(tensor.name).second)
      throw InputError("model file: the name \"" + tensor.name + "\" of an array is empty, reserved or used twice");
    const auto n = n_elements(tensor.shape);
    if (!n || *n != static_cast<std::int64_t>(tensor.data.size()))
      throw ShapeError(message("model file: array ", tensor.name, " has ", tensor.data.size(),
                               " elements, not as many as its shape says"));
    for (std::size_t k = 0; k < tensor.data.size(); ++k)
      if (!std::isfinite(tensor.data[k]))
        throw NonFiniteError(message("model file: element ", k, " of ", tensor.name, " is ", tensor.data[k]));
    const std::int64_t end = offset + 8 * *n;
    text += message(",", Json(tensor.name).dump(), R"(:{"dtype":"F64","shape":)", Json(tensor.shape).dump(),
                    R"(,"data_offsets":[)", offset, ",", end, "]}");
    offset = end;
  }
  text += "}";
  if (text.size() > largest_header)
    throw InputError(message("model file: description and names of arrays take ", text.size(), " bytes, at most ",
                             largest_header, " are possible"));
  check_json(text);  // whatever is written can be read
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

// ---- reading ----

/// The value that follows `"key":"` in the header's opening, by text: to be had before anything may be trusted.
std::string_view opening_value(std::string_view header, std::string_view key) {
  const std::string pattern = message('"', key, R"(":")");
  const auto begin = header.find(pattern);
  if (begin == header.npos) return {};
  const auto rest = header.substr(begin + pattern.size());
  return rest.substr(0, rest.find('"'));
}

/// Checks that this is an nbcore model of a version that can be read.
void check_version(std::string_view header) {
  if (!header.starts_with(opening)) throw ModelFileError("not an nbcore model");
  const std::string_view text = opening_value(header.substr(0, 256), "version");
  int version = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), version);
  if (error != std::errc() || end != text.end() || version < 1)
    throw ModelFileError("damaged: no version number in the header");
  if (version > newest_version)
    throw ModelFileError(message("written in format ", version, ", this release reads up to ", newest_version,
                                 "; it needs nbcore ", shown(opening_value(header.substr(0, 256), "needs")),
                                 " or newer"));
}

/// The arrays as the header lists them, in the order of their data.
std::vector<Tensor> list_tensors(const Json& header, std::span<double> data) {
  struct Entry {
    std::int64_t begin, end;
    Tensor tensor;
  };
  std::vector<Entry> entries;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto damaged = [&, &name = name](const auto&... what) {
      throw ModelFileError(message("damaged: array ", shown(name), ": ", what...));
    };
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
      damaged("expected dtype, shape and data_offsets");
    const auto* dtype = entry["dtype"].get_ptr<const std::string*>();  // comparing with JSON itself must not throw
    if (dtype == nullptr || *dtype != "F64") damaged("dtype must be F64, got ", shown(entry["dtype"].dump()));
    const auto integers = [&](const Json& list) {
      std::vector<std::int64_t> out;
      if (!list.is_array()) damaged("expected a list of integers, got ", shown(list.dump()));
      if (list.size() > most_dimensions) damaged("its shape is too large");
      for (const auto& x : list) {
        if (!x.is_number_unsigned() || x.get<std::uint64_t>() > std::uint64_t{1} << 62)
          damaged("expected a list of non-negative integers, got ", shown(list.dump()));
        out.push_back(x.get<std::int64_t>());
      }
      return out;
    };
    const std::vector<std::int64_t> shape = integers(entry["shape"]), offsets = integers(entry["data_offsets"]);
    const auto n = n_elements(shape);
    if (!n) damaged("its shape is too large");
    if (offsets.size() != 2 || offsets[1] - offsets[0] != 8 * *n)
      damaged("expected ", 8 * *n, " bytes, got data_offsets ", shown(entry["data_offsets"].dump()));
    entries.push_back({offsets[0], offsets[1], {name, shape, {}}});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;  // an empty array stands before the next
  });
  std::vector<Tensor> tensors;
  std::int64_t offset = 0;
  const auto data_bytes = static_cast<std::int64_t>(8 * data.size());
  for (Entry& entry : entries) {
    if (entry.begin != offset)
      throw ModelFileError(message("damaged: array ", shown(entry.tensor.name), ": expected its data from offset ",
                                   offset, ", got data_offsets [", entry.begin, ", ", entry.end, "]"));
    offset = entry.end;
    if (offset <= data_bytes)
      entry.tensor.data = data.subspan(std::size_t(entry.begin / 8), std::size_t((offset - entry.begin) / 8));
    tensors.push_back(std::move(entry.tensor));
  }
  if (offset != data_bytes)
    throw ModelFileError(message(offset > data_bytes ? "truncated" : "damaged", ": its arrays take ", offset,
                                 " bytes, the file has ", data_bytes));
  return tensors;
}

std::uint64_t header_length(std::string_view beginning) {
  std::uint64_t length = 0;
  for (int k = 0; k < 8; ++k) length |= std::uint64_t{static_cast<unsigned char>(beginning[k])} << 8 * k;
  return length;
}

/// What the first bytes say, before the rest is read: a model, of a version that can be read, whose header fits.
void check_beginning(std::string_view beginning, std::uint64_t size) {
  if (beginning.size() < 8) throw ModelFileError("not an nbcore model");
  check_version(beginning.substr(8));
  const std::uint64_t length = header_length(beginning);
  if (length > size - 8)
    throw ModelFileError(message("truncated: its header takes ", length, " bytes, the file has ", size - 8));
  if (length > largest_header)
    throw ModelFileError(message("its header takes ", length, " bytes, at most ", largest_header, " are possible"));
  if (length % 8 != 0) throw ModelFileError("damaged: its header's length is no multiple of 8");
}

void check_digest(std::string_view bytes) {
  const auto digest = opening_value(bytes.substr(8, 256), "sha256");
  if (digest.size() != digest_digits) throw ModelFileError("damaged: no digest in the header");
  const auto at = static_cast<std::size_t>(digest.data() - bytes.data());
  Sha256 sha;
  sha.update(bytes.substr(0, at));
  sha.update(std::string_view(std::string(digest_digits, '0')));
  sha.update(bytes.substr(at + digest_digits));
  if (sha.hex() != digest) throw ModelFileError("damaged or truncated: its contents do not match its SHA-256 digest");
}

ModelFile read(FileBytes bytes) {
  check_beginning(bytes.view().substr(0, 512), bytes.size);
  check_digest(bytes.view());
  const std::uint64_t length = header_length(bytes.view());
  const std::string_view text = bytes.view().substr(8, length);
  Json header;
  try {
    check_json(text);
    header = Json::parse(text);
  } catch (const ModelFileError& e) {
    throw ModelFileError(message("damaged: the header is no proper JSON: ", e.what()));
  } catch (const Json::exception& e) {
    throw ModelFileError(message("damaged: the header is no proper JSON: ", shown(e.what())));
  }
  Json& metadata = header["__metadata__"];
  for (const char* key : {"format", "version", "needs", "sha256", "description"})
    if (!metadata.contains(key) || !metadata[key].is_string())
      throw ModelFileError(message("damaged: the header has no ", key));
  if ((bytes.size - 8 - length) % 8 != 0)
    throw ModelFileError(message("damaged: its arrays end within a number, at byte ", bytes.size));
  const std::span<double> data{bytes.words.get() + 1 + length / 8, (bytes.size - 8 - length) / 8};
  ModelFile file{std::move(metadata["description"].get_ref<std::string&>()), list_tensors(header, data), bytes.words};
  try {
    check_json(file.description);
  } catch (const ModelFileError& e) {
    throw ModelFileError(message("damaged: the description is no proper JSON: ", e.what()));
  }
  swap_if_big_endian(data);
  for (const Tensor& tensor : file.tensors) {
    const auto found = std::find_if(tensor.data.begin(), tensor.data.end(), [](double x) { return !std::isfinite(x); });
    if (found != tensor.data.end())
      throw ModelFileError(
          message("element ", found - tensor.data.begin(), " of ", shown(tensor.name), " is ", *found));
  }
  return file;
}

}  // namespace

std::string shown(std::string_view text, std::size_t longest) {
  std::string out(text.substr(0, longest));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return text.size() > longest ? out + "..." : out;
}

ModelFile read_model_file(const std::string& path) {
  try {
    return read(read_file(path, check_beginning));
  } catch (const ModelFileError& e) {
    throw ModelFileError(path + ": " + e.what());
  }
}

ModelFile read_model_bytes(std::string_view bytes) {
  try {
    check_beginning(bytes.substr(0, 512), bytes.size());
    FileBytes copy{std::shared_ptr<double[]>(new double[bytes.size() / 8 + 1]()), bytes.size()};
    std::copy(bytes.begin(), bytes.end(), copy.data());
    return read(std::move(copy));
  } catch (const ModelFileError& e) {
    throw ModelFileError(message("the model in memory: ", e.what()));
  }
}

void write_model_file(const std::string& path, const ModelFile& file) {
  std::string bytes;
  try {
    check_json(file.description);
  } catch (const ModelFileError& e) {
    throw InputError(message("model file: the description is no proper JSON: ", e.what()));
  }
  try {
    const std::string header = header_of(file);
    bytes = little_endian(header.size()) + header;
  } catch (const ModelFileError& e) {
    throw InputError(message("model file: ", e.what()));
  } catch (const Json::exception& e) {
    throw InputError(message("model file: ", e.what()));
  }
  for (const Tensor& tensor : file.tensors) {
    const std::size_t begin = bytes.size();
    bytes.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size_bytes());
    if constexpr (std::endian::native == std::endian::big)
      for (std::size_t k = begin; k < bytes.size(); k += 8) std::reverse(&bytes[k], &bytes[k] + 8);
  }
  Sha256 sha;
  sha.update(std::string_view(bytes));
  const std::string blank = std::string(R"("sha256":")") + std::string(digest_digits, '0');
  bytes.replace(bytes.find(blank) + blank.size() - digest_digits, digest_digits, sha.hex());
  replace_file(path, bytes);
}

}  // namespace nbcore
