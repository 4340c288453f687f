#include "gates/options.hpp"

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace nbcore {

using Json = nlohmann::json;

namespace {

template <class T> struct Kind {
  static T from(const Json& value) { return value.get<T>(); }
};

template <> struct Kind<int> {  // get<int> would cut 2.5 to 2
  static int from(const Json& value) {
    const auto n = value.is_number_integer() ? value.get<long long>() : 1LL << 40;
    if (n != int(n)) throw InputError("no int");
    return int(n);
  }
};

template <class T> constexpr const char* called = "an object";
template <> constexpr const char* called<bool> = "true or false";
template <> constexpr const char* called<int> = "a whole number";
template <> constexpr const char* called<double> = "a number";
template <> constexpr const char* called<std::string> = "text";
template <> constexpr const char* called<std::vector<double>> = "a list of numbers";
template <> constexpr const char* called<std::vector<std::string>> = "a list of texts";
template <> constexpr const char* called<std::vector<Options>> = "a list of objects";

}  // namespace

Options::Options(Json value) : json_(std::make_shared<const Json>(std::move(value))) {
  if (!json_->is_object()) throw InputError(message("expected an object {...}, got ", json_->dump()));
}

Options::Options(const std::string& text) {
  try {
    *this = Options(Json::parse(text));
  } catch (const Json::exception& e) {
    throw InputError(e.what());
  }
}

bool Options::has(const std::string& key) const { return json_->contains(key); }

std::vector<std::string> Options::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, unused] : json_->items()) names.push_back(key);
  return names;
}

std::string Options::text() const { return json_->dump(); }

std::string Options::where() const {
  const auto name = json_->find("name");
  return name != json_->end() && name->is_string() ? message("gate ", name->get<std::string>(), ": ") : "";
}

template <class T> T Options::convert(const Json& value) {
  if constexpr (std::is_same_v<T, Options>) return Options(Json(value));
  else if constexpr (std::is_same_v<T, std::vector<Options>>) {
    if (!value.is_array()) throw InputError("no list");
    T list;
    for (const Json& v : value) list.push_back(Options(Json(v)));
    return list;
  } else return Kind<T>::from(value);
}

template <class T> T Options::get(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end()) throw InputError(message(where(), "\"", key, "\" is missing"));
  try {
    return convert<T>(*found);
  } catch (const std::exception&) {  // of the JSON library, or our own of an inner value
    throw InputError(message(where(), key, " must be ", called<T>, ", got ", found->dump()));
  }
}

template <class T> T Options::get(const std::string& key, const T& otherwise) const {
  return has(key) ? get<T>(key) : otherwise;
}

int Options::whole(const std::string& key, int otherwise, int low, int high) const {
  if (!has(key)) return otherwise;
  const Json& value = (*json_)[key];
  if (!value.is_number_integer() || value < low || value > high)
    throw InputError(message(where(), key, " must be a whole number from ", low, " to ", high, ", got ", value.dump()));
  return value.get<int>();
}

#define NB_OPTION(T)                                    \
  template T Options::get<T>(const std::string&) const; \
  template T Options::get<T>(const std::string&, const T&) const;
NB_OPTION(bool)
NB_OPTION(int)
NB_OPTION(double)
NB_OPTION(std::string)
NB_OPTION(Options)
NB_OPTION(std::vector<double>)
NB_OPTION(std::vector<std::string>)
NB_OPTION(std::vector<Options>)

}  // namespace nbcore
