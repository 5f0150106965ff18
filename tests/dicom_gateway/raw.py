"""Objects built from raw bytes, so that values may be junk or in any encoding."""
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset


def wire(**raw: bytes) -> bytes:
    """An explicit little-endian object whose elements hold exactly these bytes, junk included."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    elements = sorted((pydicom.tag.Tag(keyword), keyword, value) for keyword, value in raw.items())
    body = b""
    for tag, keyword, value in elements:
        value = value + b" " * (len(value) % 2)
        vr = pydicom.datadict.dictionary_VR(tag).encode()
        body += tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + vr
        body += len(value).to_bytes(2, "little") + value
    return file.getvalue() + body
