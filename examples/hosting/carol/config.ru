# SPDX-License-Identifier: Apache-2.0
#
# carol's site, Rack: has no redis.
run lambda { |_environment|
  text = "carol, Rack on Ruby #{RUBY_VERSION}\n"
  [200, { 'Content-Type' => 'text/plain; charset=utf-8' }, [text]]
}
