// SPDX-License-Identifier: Apache-2.0
//
// The compiled part of fmt, for tools that do not load it as a shared library: the only form in
// which distributions have it.
#include <fmt/format-inl.h>

// What formatting numbers takes of it beyond plain functions.
template fmt::detail::thousands_sep_result<char> fmt::detail::thousands_sep_impl(locale_ref);
template char fmt::detail::decimal_point_impl(locale_ref);
