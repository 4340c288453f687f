#include "gates/options.hpp"

#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace nbcore {

using Json = nlohmann::json;

namespace {

template <class T> struct Kind {
  static T from(const Json& value) { return value.get<T>(); }
};

template <> struct Kind<double> {  // get<double> would take true for 1
  static double from(const Json& value) {
    if (!value.is_number()) throw InputError("no number");
    return value.get<double>();
  }
};

template <> struct Kind<int> {  // get<int> would cut 2.5 to 2
  static int from(const Json& value) {
    const auto n = value.is_number_integer() ? value.get<long long>() : 1LL << 40;
    if (n != int(n)) throw InputError("no int");
    return int(n);
  }
};

/// As text, cut where it is long, printable whatever stands in it
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 77) + "...";
}

template <class T> constexpr const char* called = "an object";
template <> constexpr const char* called<bool> = "true or false";
template <> constexpr const char* called<int> = "a whole number";
template <> constexpr const char* called<double> = "a number";
template <> constexpr const char* called<std::string> = "text";
template <> constexpr const char* called<std::vector<double>> = "a list of numbers";
template <> constexpr const char* called<std::vector<std::string>> = "a list of texts";
template <> constexpr const char* called<std::vector<Options>> = "a list of objects";

}  // namespace

Options::Options(std::shared_ptr<const Json> value) : json_(std::move(value)) {
  if (!json_->is_object()) throw InputError(message("expected an object {...}, got ", shown(*json_)));
}

Options::Options(const std::string& text) {
  try {
    *this = Options(std::make_shared<const Json>(Json::parse(text)));
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

std::string Options::text(const std::string& key) const { return has(key) ? shown((*json_)[key]) : "nothing"; }

std::string Options::where() const {
  const auto name = json_->find("name");
  return name != json_->end() && name->is_string() ? message("gate ", name->get<std::string>(), ": ") : "";
}

template <class T> T Options::convert(const Json& value) const {
  const auto view = [&](const Json& of) { return Options(std::shared_ptr<const Json>(json_, &of)); };
  if constexpr (std::is_same_v<T, Options>) return view(value);
  else if constexpr (std::is_same_v<T, std::vector<Options>>) {
    if (!value.is_array()) throw InputError("no list");
    T list;
    for (const Json& v : value) list.push_back(view(v));
    return list;
  } else return Kind<T>::from(value);
}

template <class T> T Options::get(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end()) throw InputError(message(where(), "\"", key, "\" is missing"));
  try {
    return convert<T>(*found);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {  // of the JSON library, or our own of an inner value
    throw InputError(message(where(), key, " must be ", called<T>, ", got ", shown(*found)));
  }
}

template <class T> T Options::get(const std::string& key, const T& otherwise) const {
  return has(key) ? get<T>(key) : otherwise;
}

template <class T> bool Options::is(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end()) return false;
  const auto all = [&](auto fits) { return found->is_array() && std::all_of(found->begin(), found->end(), fits); };
  if constexpr (std::is_same_v<T, bool>) return found->is_boolean();
  else if constexpr (std::is_same_v<T, std::string>) return found->is_string();
  else if constexpr (std::is_same_v<T, Options>) return found->is_object();
  else if constexpr (std::is_same_v<T, std::vector<double>>) return all([](const Json& v) { return v.is_number(); });
  else return all([](const Json& v) { return v.is_string(); });
}
template bool Options::is<bool>(const std::string&) const;
template bool Options::is<std::string>(const std::string&) const;
template bool Options::is<Options>(const std::string&) const;
template bool Options::is<std::vector<double>>(const std::string&) const;
template bool Options::is<std::vector<std::string>>(const std::string&) const;

std::optional<double> Options::number(const std::string& key) const {
  const auto found = json_->find(key);
  return found != json_->end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

std::optional<double> Options::whole_number(const std::string& key) const {
  const auto found = json_->find(key);
  return found != json_->end() && found->is_number_integer() ? std::optional(found->get<double>()) : std::nullopt;
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
