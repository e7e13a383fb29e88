// SPDX-License-Identifier: Apache-2.0
//
// What is written in the book of addresses, as JSON.
#pragma once

#include <string>

#include "launch/network/address_book.hpp"
#include "launch/network/tenant.hpp"

namespace sbx::detail {

std::string to_json(const Tenant& tenant);
std::string to_json(const HostRecord& record);
std::string to_json(const NameRecord& record);
std::string to_json(const Pools& pools);

// The other way: throw std::exception for anything else than the above have written.
Tenant tenant_from_json(const std::string& text);
HostRecord host_from_json(const std::string& text);
NameRecord name_from_json(const std::string& text);
Pools pools_from_json(const std::string& text);

}  // namespace sbx::detail
