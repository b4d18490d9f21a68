"""Calls a gRPC method again and again, on many threads over one channel, without retries of its own.

grpc_calls.py PORT LAST: says "begun" when each thread has its first answer, ends when "generation LAST" has given 300,
and then says how many answers each generation gave and how many calls failed.
"""

import collections
import sys
import threading
import time

import grpc

THREADS = 16
LAST_ANSWERS = 300
DEADLINE = time.monotonic() + 120

port, last = sys.argv[1], f"generation {sys.argv[2]}"
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
call = channel.unary_unary("/zdd.Test/Say", request_serializer=None, response_deserializer=None)
answers, errors = collections.Counter(), []
begun = threading.Barrier(THREADS, action=lambda: print("begun", flush=True))


def say():
    try:
        answers[call(b"hello", timeout=30).decode()] += 1
    except grpc.RpcError as error:
        errors.append(f"{error.code()} {error.details()}")


def work():
    say()
    begun.wait()
    while answers[last] < LAST_ANSWERS and len(errors) < 100 and time.monotonic() < DEADLINE:
        say()


threads = [threading.Thread(target=work) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*(f"{name}: {count}" for name, count in sorted(answers.items())), *errors, sep="\n")
print(f"errors: {len(errors)}")
