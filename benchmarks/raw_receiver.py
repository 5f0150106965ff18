"""The durable limit: copies what arrives by C-STORE into files, synchronises file and folder, and answers.

    python benchmarks/raw_receiver.py PORT FOLDER [--hash]

With ``--hash`` each file is named by the SHA-256 of its bytes, as the hub's are. No index, no checks, a process per connection; accepts whatever is proposed in the first transfer syntax. Not a
server for anybody's images: it is there to be compared with.
"""
from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from dicom_gateway.command import store_request, store_response  # noqa: E402

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, P_DATA_TF, A_RELEASE_RQ = 0x01, 0x02, 0x04, 0x05
LONGEST_PDU = 131072


def main(port: int, folder: str, hashes: bool) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        line, _ = server.accept()
        if os.fork() == 0:
            server.close()
            serve(line, folder, hashes)
            os._exit(0)
        line.close()


def serve(line: socket.socket, folder: str, hashes: bool) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    memory, head = memoryview(bytearray(LONGEST_PDU)), memoryview(bytearray(6))
    handle, number, command, request = -1, 0, b"", None
    while line.recv_into(head, 6, socket.MSG_WAITALL) == 6:
        kind, length = struct.unpack(">BxL", head)
        rest = memory[:length]
        line.recv_into(rest, length, socket.MSG_WAITALL)
        if kind == A_ASSOCIATE_RQ:
            line.sendall(accepted(bytes(rest)))
        elif kind == A_RELEASE_RQ:
            line.sendall(struct.pack(">BxL4x", 0x06, 4))
        elif kind == P_DATA_TF:
            place = 0
            while place < length:
                size, context, flags = struct.unpack_from(">LBB", rest, place)
                part = rest[place + 6:place + 4 + size]
                place += 4 + size
                if flags & 1:
                    command += part
                    if flags & 2:
                        request, command, number = store_request(command), b"", number + 1
                        path = f"{folder}/{os.getpid()}-{number}"
                        handle, counted = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), hashlib.sha256()
                else:
                    os.write(handle, part)
                    if hashes:
                        counted.update(part)
                    if flags & 2:
                        if hashes:
                            os.rename(path, f"{folder}/{counted.hexdigest()}")
                        os.fsync(handle)
                        os.close(handle)
                        entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                        os.fsync(entry)
                        os.close(entry)
                        line.sendall(store_response(context, request, 0))
        else:
            return


def accepted(request: bytes) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3) that accepts every context in its first transfer syntax."""
    body, place = bytearray(request[:68]), 68
    while place < len(request):
        kind, length = struct.unpack_from(">BxH", request, place)
        item = request[place + 4:place + 4 + length]
        place += 4 + length
        if kind == 0x10:
            body += struct.pack(">BxH", kind, length) + item
        elif kind == 0x20:
            inner = 4
            while item[inner] != 0x40:
                inner += 4 + struct.unpack_from(">H", item, inner + 2)[0]
            syntax = item[inner:inner + 4 + struct.unpack_from(">H", item, inner + 2)[0]]
            body += struct.pack(">BxHBxxx", 0x21, 4 + len(syntax), item[0]) + syntax
    uid = b"1.2.3.4"
    user = struct.pack(">BxHL", 0x51, 4, LONGEST_PDU) + struct.pack(">BxH", 0x52, len(uid)) + uid
    body += struct.pack(">BxH", 0x50, len(user)) + user
    return struct.pack(">BxL", A_ASSOCIATE_AC, len(body)) + bytes(body)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], "--hash" in sys.argv[3:])
