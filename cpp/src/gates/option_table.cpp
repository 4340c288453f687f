#include "gates/option_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/error.hpp"

namespace nbcore {

using Json = nlohmann::ordered_json;
using Type = Option::Type;

namespace {

constexpr double anything = std::numeric_limits<double>::infinity();

Option option(Type type, const char* name, const char* doc) {
  Option o{};
  o.type = type, o.name = name, o.doc = doc;
  return o;
}

Option with_range(Option o, Limit otherwise, Limit low, Limit high) {
  o.number = otherwise, o.low = low, o.high = high;
  return o;
}

const char* type_name(Type type) {
  switch (type) {
    case Type::whole:
      return "int";
    case Type::real:
      return "float";
    case Type::flag:
      return "bool";
    case Type::text:
      return "str";
    case Type::reals:
      return "list of float";
    case Type::wholes:
      return "list of int";
    case Type::texts:
      return "list of str";
    default:
      return "radial";
  }
}

std::string shown(double x) {
  return x == std::floor(x) && std::abs(x) < 1e15 ? std::to_string((long long)x) : Json(x).dump();
}

std::string listed(const std::vector<std::string>& words) {
  std::string list;
  for (std::size_t k = 0; k < words.size(); ++k)
    list += (k == 0 ? "\"" : k + 1 < words.size() ? ", \"" : " or \"") + words[k] + "\"";
  return list;
}

}  // namespace

Option whole(const char* name, Limit otherwise, Limit low, Limit high, const char* doc) {
  return with_range(option(Type::whole, name, doc), otherwise, low, high);
}
Option whole_if_given(const char* name, Limit low, Limit high, const char* doc) {
  Option o = with_range(option(Type::whole, name, doc), 0, low, high);
  o.given = true;
  return o;
}
Option real(const char* name, Limit otherwise, Limit low, Limit high, const char* doc, bool above) {
  Option o = with_range(option(Type::real, name, doc), otherwise, low, high);
  o.above = above;
  return o;
}
Option real(const char* name, Limit otherwise, const char* doc) {
  return real(name, otherwise, -anything, anything, doc);
}
Option flag(const char* name, bool otherwise, const char* doc) {
  return with_range(option(Type::flag, name, doc), otherwise ? 1 : 0, 0, 1);
}
Option choice(const char* name, std::vector<std::string> words, const char* doc) {
  Option o = option(Type::text, name, doc);
  o.choices = std::move(words);
  return o;
}
Option reals(const char* name, const char* doc) {
  return with_range(option(Type::reals, name, doc), 0, -anything, anything);
}
Option wholes(const char* name, Limit low, Limit high, int most, const char* doc) {
  Option o = with_range(option(Type::wholes, name, doc), 0, low, high);
  o.most = most;
  return o;
}
Option texts(const char* name, const char* doc) { return option(Type::texts, name, doc); }
Option radial_functions(const char* doc) { return option(Type::object, "radial", doc); }

std::string as_json(const OptionTable& table) {
  const auto number = [](const Limit& n) {
    if (!n.option.empty()) return Json(n.option);
    return n.value == std::floor(n.value) && std::abs(n.value) < 1e15 ? Json((long long)n.value) : Json(n.value);
  };
  const auto end = [&](const Limit& n) { return n.option.empty() && std::isinf(n.value) ? Json() : number(n); };
  Json all = Json::object();
  for (const Option& o : table) {
    Json j = {{"type", type_name(o.type)}};
    switch (o.type) {
      case Type::whole:
      case Type::real:
        j["default"] = o.given                                           ? Json()
                       : o.type == Type::real && o.number.option.empty() ? Json(o.number.value)
                                                                         : number(o.number);
        j[o.above ? "above" : "low"] = end(o.low), j["high"] = end(o.high);
        break;
      case Type::flag:
        j["default"] = o.number.value != 0;
        break;
      case Type::text:
        j["default"] = o.choices[0], j["choices"] = o.choices;
        break;
      case Type::wholes:
        j["default"] = Json::array(), j["low"] = end(o.low), j["high"] = end(o.high), j["most"] = o.most;
        break;
      case Type::object:
        j["default"] = Json::object();
        break;
      default:
        j["default"] = Json::array();
    }
    j["doc"] = o.doc;
    all[o.name] = std::move(j);
  }
  return all.dump();
}

OptionValues::OptionValues(const Options& given, const OptionTable& table, const std::vector<std::string>& besides)
    : table_(table) {
  for (const std::string& key : given.keys()) {
    const auto is_key = [&](const Option& o) { return o.name == key; };
    if (std::any_of(table.begin(), table.end(), is_key)) continue;
    if (std::find(besides.begin(), besides.end(), key) != besides.end()) continue;
    std::string names;
    for (const Option& o : table) names += (names.empty() ? "" : ", ") + o.name;
    throw InputError(message("no option \"", key, "\"; ", names.empty() ? "it has none" : "there are ", names));
  }
  for (const Option& o : table)
    if (given.has(o.name) || !o.given) values_.emplace(o.name, read(given, o));
}

OptionValues::Value OptionValues::read(const Options& given, const Option& o) const {
  const bool here = given.has(o.name);
  const auto refuse = [&](const auto&... expected) -> Value {
    throw InputError(message(o.name, " must be ", expected..., ", got ", given.text(o.name), " (", o.doc, ")"));
  };
  const double low = number(o.low), high = number(o.high);
  const std::string range = std::isinf(high) && std::isinf(low) ? ""
                            : o.above && std::isinf(high)       ? message(" above ", shown(low))
                            : o.above ? message(" above ", shown(low), ", at most ", shown(high))
                                      : message(" from ", shown(low), " to ", shown(high));
  const auto inside = [&](double x) { return std::isfinite(x) && x <= high && (o.above ? x > low : x >= low); };
  switch (o.type) {
    case Type::whole: {
      if (!here) return std::min(std::max(number(o.number), low), high);
      const std::optional<double> x = given.whole_number(o.name);
      if (!x || !inside(*x)) return refuse("a whole number", range);
      return *x;
    }
    case Type::real: {
      if (!here) return number(o.number);
      const std::optional<double> x = given.number(o.name);
      if (!x || !inside(*x)) return refuse("a number", range);
      return *x;
    }
    case Type::flag:
      if (!here) return o.number.value;
      if (!given.is<bool>(o.name)) return refuse("true or false");
      return given.get<bool>(o.name) ? 1.0 : 0.0;
    case Type::text: {
      if (!here) return o.choices[0];
      if (!given.is<std::string>(o.name)) return refuse(listed(o.choices));
      std::string word = given.get<std::string>(o.name);
      if (std::find(o.choices.begin(), o.choices.end(), word) == o.choices.end()) return refuse(listed(o.choices));
      return word;
    }
    case Type::texts:
      if (!here) return std::vector<std::string>();
      if (!given.is<std::vector<std::string>>(o.name)) return refuse("a list of texts");
      return given.get<std::vector<std::string>>(o.name);
    case Type::object:
      if (!here) return Options();
      if (!given.is<Options>(o.name)) return refuse("an object of options");
      return given.get<Options>(o.name);
    default: {
      if (!here) return std::vector<double>();
      const bool integers = o.type == Type::wholes;
      const std::string expected = integers ? message("a list of at most ", o.most, " whole numbers", range)
                                            : message("a list of numbers", range);
      if (!given.is<std::vector<double>>(o.name)) return refuse(expected);
      std::vector<double> list = given.get<std::vector<double>>(o.name);
      if (integers && int(list.size()) > o.most) return refuse(expected);
      for (double x : list)
        if (!inside(x) || (integers && x != std::floor(x))) return refuse(expected);
      return list;
    }
  }
}

bool OptionValues::is(const std::string& name, const std::string& word) const {
  for (const Option& o : table_)
    if (o.name == name && std::find(o.choices.begin(), o.choices.end(), word) == o.choices.end())
      throw std::logic_error(message("the option ", name, " has no choice ", word));
  return text(name) == word;
}

template <class T> const T& OptionValues::value(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) throw std::logic_error(message("the option ", name, " is not in the table"));
  return std::get<T>(found->second);
}
template const double& OptionValues::value(const std::string&) const;
template const std::string& OptionValues::value(const std::string&) const;
template const std::vector<double>& OptionValues::value(const std::string&) const;
template const std::vector<std::string>& OptionValues::value(const std::string&) const;
template const Options& OptionValues::value(const std::string&) const;

}  // namespace nbcore
