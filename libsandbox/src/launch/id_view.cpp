// SPDX-License-Identifier: Apache-2.0
#include "launch/id_view.hpp"

#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>

#include "sbx/id_map.hpp"
#include "sbx/namespace.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

/// `map` with the numbers inside of `a` and `b` exchanged.
IdMap with_swapped(const IdMap& map, std::uint32_t a, std::uint32_t b) {
  IdMap swapped;
  for (const IdRange& range : map) {
    std::uint32_t next = range.inside;
    const std::uint32_t end = range.inside + range.count;
    const auto add_until = [&](std::uint32_t stop) {
      if (stop <= next) return;
      swapped.push_back({next, range.outside + (next - range.inside), stop - next});
      next = stop;
    };
    for (const std::uint32_t single : {std::min(a, b), std::max(a, b)}) {
      if (single < next || single >= end) continue;
      add_until(single);
      const std::uint32_t shown = single == a ? b : a;
      swapped.push_back({shown, range.outside + (single - range.inside), 1});
      ++next;
    }
    add_until(end);
  }
  return swapped;
}

/// A user namespace whose maps show the tree's ids as its view says, other than the sandbox's.
Namespace namespace_for(const IdMappedTree& tree, const Identity& identity) {
  if (tree.view == IdView::kSwapped) {
    return Namespace::create_user(with_swapped(identity.uids, 0, identity.user.uid),
                                  with_swapped(identity.gids, 0, identity.user.gid));
  }
  const auto uid = map_to_outside(identity.uids, identity.user.uid).value();
  const auto gid = map_to_outside(identity.gids, identity.user.gid).value();
  return Namespace::create_user({{.inside = tree.uid, .outside = uid, .count = 1}},
                                {{.inside = tree.gid, .outside = gid, .count = 1}});
}

/// Private, too: see child::set_attributes().
long change_tree(const IdMappedTree& tree, std::uint64_t attributes, int user_namespace) {
  mount_attr change{.attr_set = attributes,
                    .attr_clr = 0,
                    .propagation = MS_PRIVATE,
                    .userns_fd = static_cast<std::uint64_t>(user_namespace)};
  return raw::mount_setattr(tree.fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change);
}

void map_tree(const IdMappedTree& tree, const Namespace& view) {
  long result = change_tree(tree, tree.attributes | MOUNT_ATTR_IDMAP, view.fd());
  const bool incapable = result == -EINVAL || result == -EPERM;  // as many file systems are
  if (result < 0 && (tree.required || !incapable)) {
    throw SystemError(
        static_cast<int>(-result),
        fmt::format("cannot show '{}' with the sandbox's ids", printable(tree.path)),
        incapable ? "its file system cannot do it: bind it read-only, or use the host's ids" : "");
  }
  if (result < 0) result = change_tree(tree, tree.attributes, 0);
  check(result, "cannot change the mount of '{}'", printable(tree.path));
}

}  // namespace

void show_ids(const std::vector<IdMappedTree>& trees, const Identity& identity, int pid) {
  if (trees.empty()) return;
  const Namespace own = Namespace::of(pid, NamespaceKind::kUser);
  for (const IdMappedTree& tree : trees) {
    if (tree.view == IdView::kSame) {
      map_tree(tree, own);
    } else {
      map_tree(tree, namespace_for(tree, identity));
    }
  }
}

}  // namespace sbx::detail
