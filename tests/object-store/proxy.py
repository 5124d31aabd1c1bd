"""A proxy in front of an HTTP server that fails some of the connections.

    proxy.py TARGET_PORT PORT_FILE FAULT EVERY

FAULT is what happens to every EVERY-th connection: `refuse` closes it at once, `cut` after some bytes of the
answer, `throttle` answers 503, `slow` waits for a second. `none` passes all.
"""

import socket
import sys
import threading
import time

BODY = b"<Error><Code>SlowDown</Code><Message>wait</Message></Error>"
THROTTLED = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


def copy(source, target, limit=None):
    """Copies until the end, or until `limit` bytes were copied."""
    copied = 0
    try:
        while limit is None or copied < limit:
            data = source.recv(65536)
            if not data:
                break
            if limit is not None:
                data = data[: limit - copied]
            target.sendall(data)
            copied += len(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, target_port, fault):
    with client:
        if fault == "refuse":
            return
        if fault == "throttle":
            client.recv(65536)
            client.sendall(THROTTLED)
            return
        if fault == "slow":
            time.sleep(1)
        with socket.create_connection(("127.0.0.1", target_port)) as server:
            threading.Thread(target=copy, args=(client, server), daemon=True).start()
            copy(server, client, 700 if fault == "cut" else None)


def main():
    target_port, port_file, fault, every = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    with open(port_file, "w") as file:
        file.write(str(listener.getsockname()[1]))
    number = 0
    while True:
        client, _ = listener.accept()
        number += 1
        failed = fault if fault != "none" and number % every == 0 else None
        threading.Thread(target=serve, args=(client, target_port, failed), daemon=True).start()


main()
