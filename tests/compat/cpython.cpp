// SPDX-License-Identifier: Apache-2.0
//
// CPython's own regression tests: what fails or is skipped inside has to fail or be skipped outside
// as well.
#include "compat/row.hpp"

namespace {

using sbx::compat::Row;
using namespace std::chrono_literals;

const char* const kModules = "/usr/lib/python3.11/test/test_os.py";

/// Runs test.MODULE. Prints its tests that were skipped, and those that failed twice, in order;
/// some of them depend on how busy the machine is.
std::string run_module(const std::string& module) {
  return R"SH(
cat >run.py <<'E'
import sys, unittest
def run(suite):
    return unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
def bad(result):
    return {test.id() if hasattr(test, 'id') else str(test): getattr(test, 'test_case', test)
            for test, _ in result.failures + result.errors}
if __name__ == '__main__':
    result = run(unittest.defaultTestLoader.loadTestsFromName('test.' + sys.argv[1]))
    first = bad(result)
    again = {case.id(): type(case)(case._testMethodName)
             for case in first.values() if isinstance(case, unittest.TestCase)}
    second = bad(run(unittest.TestSuite(again.values())))
    lines = ['failed ' + name for name, case in first.items()
             if name in second or not isinstance(case, unittest.TestCase)]
    lines += ['skipped %s: %s' % (test.id(), reason) for test, reason in result.skipped]
    with open('result', 'w') as file:
        print(*sorted(lines), 'tests: %d' % result.testsRun, sep='\n', file=file)
E
python3 -W ignore run.py )SH" +
         module + " >log 2>&1 || tail -n 50 log >&2\ncat result";
}

// Called by an ordinary user, the sandbox has his id and no other: to ask for another one is an
// invalid argument there, not a forbidden one.
const std::vector<std::string> kOtherIds = {
    "failed test.test_subprocess.POSIXProcessTestCase.test_group (group=",
    "failed test.test_subprocess.POSIXProcessTestCase.test_user (user="};

const Row kRows[] = {
    {.name = "CPython's tests of os",
     .needs = {kModules},
     .script = run_module("test_os"),
     .differs = {"Cannot set S_ISGID for dir."},
     .differs_for_one_id = {"failed test.test_os.ChownFileTests.test_chown_without_permission"}},
    {.name = "CPython's tests of posix", .needs = {kModules}, .script = run_module("test_posix")},
    {.name = "CPython's tests of mmap", .needs = {kModules}, .script = run_module("test_mmap")},
    {.name = "CPython's tests of socket",
     .needs = {kModules},
     .script = run_module("test_socket"),
     .differs = {"AF_ALG required", "VSOCK"},
     .deadline = 400s},
    {.name = "CPython's tests of threading",
     .needs = {kModules},
     .script = run_module("test_threading"),
     .deadline = 400s},
};

// A theme of its own, as it takes as long as the others together.
const Row kSubprocess[] = {
    {.name = "CPython's tests of subprocess",
     .needs = {kModules},
     .script = run_module("test_subprocess"),
     .differs_for_one_id = kOtherIds,
     .deadline = 400s},
};

const sbx::compat::Theme kTheme("cpython", kRows);
const sbx::compat::Theme kTheme2("cpython subprocess", kSubprocess);

}  // namespace
