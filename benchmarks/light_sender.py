"""A sender that costs next to nothing, so that the server is what is measured: prepared bytes over associations.

    python benchmarks/light_sender.py PORT CALLED CALLING FOLDER [FOLDER ...]

DCMTK's storescu spends about two milliseconds of processor time on an object: on two processors that is half of the
machine. Here each folder's files are made into PDUs beforehand; each folder has an association of its own, on which the
next object is sent when the last was answered with success. Prints the seconds from the first object to the last answer.
"""
from __future__ import annotations

import struct
import sys
import time
from pathlib import Path
from threading import Barrier, Thread

from pydicom.filereader import read_file_meta_info

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, CT, P_DATA_TF, Wire, associate_rq, command, pdu, pdv  # noqa: E402

LONGEST_PDU = struct.pack(">BxH", 0x51, 4)      # the user information item that tells it (PS3.8 D.1)
NO_LIMIT = 131072
DATA_SET_LENGTH_AT = 140


def main() -> None:
    port, called, calling, folders = int(sys.argv[1]), sys.argv[2], sys.argv[3], [Path(one) for one in sys.argv[4:]]
    ready = Barrier(len(folders) + 1)
    failures: list[str] = []
    senders = [Thread(target=send, args=(port, called, calling, one, ready, failures), daemon=True) for one in folders]
    for one in senders:
        one.start()
    ready.wait(60)
    began = time.perf_counter()
    for one in senders:
        one.join()
    if failures:
        sys.exit("; ".join(failures))
    print(time.perf_counter() - began)


def send(port: int, called: str, calling: str, folder: Path, ready: Barrier, failures: list[str]) -> None:
    files = sorted(folder.iterdir())
    with Wire(port, 60) as line:
        line.socket.sendall(associate_rq(calling, called, ((1, CT, str(read_file_meta_info(files[0]).TransferSyntaxUID)),), 16384))
        kind, answer = line.answer()
        if kind != A_ASSOCIATE_AC:
            failures.append("the association was refused")
            ready.abort()
            return
        longest = struct.unpack_from(">L", answer, answer.index(LONGEST_PDU) + 4)[0] or NO_LIMIT
        messages = [message(path, longest) for path in files]
        ready.wait(60)
        for one in messages:
            line.socket.sendall(one)
            if status := line.status():
                failures.append(f"answered with {status:04X}H")
                return
        line.release()


def message(path: Path, longest: int) -> bytes:
    """A C-STORE of one file, in PDUs as long as the other side takes."""
    content, uid = path.read_bytes(), str(read_file_meta_info(path).MediaStorageSOPInstanceUID)
    data = content[DATA_SET_LENGTH_AT + 4 + struct.unpack_from("<L", content, DATA_SET_LENGTH_AT)[0]:]
    parts = [data[place:place + longest - 6] for place in range(0, len(data), longest - 6)]
    return pdu(P_DATA_TF, pdv(1, 0x03, command(CT, uid))) + b"".join(
        pdu(P_DATA_TF, pdv(1, 0x02 * (number == len(parts) - 1), part)) for number, part in enumerate(parts))


if __name__ == "__main__":
    main()
