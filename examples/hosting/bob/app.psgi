# SPDX-License-Identifier: Apache-2.0
#
# bob's site, PSGI: counts its visits in a redis of his own.
use strict;
use warnings;

use Redis;

my $store;

sub {
    $store //= Redis->new(server => '127.0.0.1:6379', reconnect => 5);
    my $visit = $store->incr('bob:visits');
    my $text = sprintf "bob, PSGI on Perl %vd: visit %d\n", $^V, $visit;
    return [200, ['Content-Type' => 'text/plain; charset=utf-8'], [$text]];
};
