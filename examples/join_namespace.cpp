// SPDX-License-Identifier: Apache-2.0
//
// Makes a network namespace and runs a function in it, while the program stays where it is: the
// function sees another set of interfaces. Needs CAP_SYS_ADMIN; a namespace that exists already
// is joined in the same way, by Namespace::open or Namespace::of instead of Namespace::create.
#include <net/if.h>

#include <exception>
#include <iostream>
#include <string>
#include <system_error>

#include "sbx/error.hpp"
#include "sbx/namespace.hpp"

namespace {

std::string interfaces() {
  std::string names;
  struct if_nameindex* const all = ::if_nameindex();
  for (auto* each = all; each != nullptr && each->if_index != 0; ++each) {
    names += std::string(names.empty() ? "" : " ") + each->if_name;
  }
  if (all != nullptr) ::if_freenameindex(all);
  return names;
}

}  // namespace

int main() {
  try {
    const std::string before = interfaces();
    std::cout << "outside: " << before << '\n';

    const auto network = sbx::Namespace::create(sbx::NamespaceKind::kNet);
    std::cout << "inside:  " << network.run(interfaces) << '\n';

    const bool unchanged = interfaces() == before;
    std::cout << "outside, afterwards: " << (unchanged ? "as before" : "changed") << '\n';
    return unchanged ? 0 : 1;
  } catch (const sbx::SystemError& error) {
    std::cout << error.what() << '\n';
    return error.code() == std::errc::operation_not_permitted ? 77 : 1;
  } catch (const std::exception& error) {
    std::cerr << "join_namespace: " << error.what() << '\n';
    return 1;
  }
}
