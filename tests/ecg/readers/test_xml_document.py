"""XML at the door: encodings that carts write are read; bombs and foreign references are refused unopened."""
import pytest

from ecg.errors import UnreadableRecording
from ecg.readers import muse_xml, philips_xml, schiller_xml
from ecg.readers.xml_document import parse_xml, root_name, words
from ecg.recording import SourceFile

BOMB = (b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
        b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><%s>&c;</%s>')
FOREIGN = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><%s>&x;</%s>'
ROOTS = [(muse_xml, b"RestingECG"), (philips_xml, b"restingecgdata"), (schiller_xml, b"SchillerEDI")]


@pytest.mark.parametrize("charset,declared", [
    ("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"),
    ("utf-16-be", "UTF-16"), ("utf-16", "UTF-8"), ("gb18030", "GB2312"), ("gbk", "gbk"),
])
def test_a_chinese_name_is_read_in_every_encoding(charset, declared):
    text = f'<?xml version="1.0" encoding="{declared}"?><!-- <other> --><RestingECG><n>张三</n></RestingECG>'
    content = text.encode(charset)
    root, notes = parse_xml(content, "restingecg")
    assert words(root, "n") == "张三" and notes == ()
    assert root_name(content[:4096]) == "RestingECG"


def test_gb2312_under_a_false_declaration_is_read_and_noted():
    root, notes = parse_xml('<?xml version="1.0" encoding="UTF-8"?><RestingECG><n>李四</n></RestingECG>'.encode("gbk"),
                            "restingecg")
    assert words(root, "n") == "李四" and notes == ("text_charset_assumed:gb18030",)


@pytest.mark.parametrize("reader,root", ROOTS)
@pytest.mark.parametrize("attack", [BOMB, FOREIGN])
def test_entities_are_refused_as_hostile_by_every_xml_reader(reader, root, attack):
    with pytest.raises(UnreadableRecording) as refusal:
        reader.read([SourceFile("x.xml", attack % (root, root))])
    assert refusal.value.code == "hostile"


@pytest.mark.parametrize("content,code", [
    (b"", "empty"), (b"  \n", "empty"), (b"<RestingECG>", "bad_xml"), (b"\xff\xfe<\0R", "bad_xml"),
    (b"<other/>", "not_recognised"), (b"\xff\xfe\xff", "bad_xml"), (b'<?xml encoding="zlib"?><RestingECG', "bad_xml"),
])
def test_what_is_no_document_is_refused_by_name(content, code):
    with pytest.raises(UnreadableRecording) as refusal:
        parse_xml(content, "restingecg")
    assert refusal.value.code == code


def test_deep_nesting_is_refused_or_read_without_harm():
    content = b"<RestingECG>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</RestingECG>"
    with pytest.raises(UnreadableRecording) as refusal:
        muse_xml.read([SourceFile("x.xml", content)])
    assert refusal.value.code in ("no_samples", "bad_xml")


def test_each_dialect_is_recognised_by_its_own_reader_only(real_data):
    formats = real_data / "ecg" / "formats"
    files = {"GE MUSE XML": "muse_braveheart/example1.xml", "Philips XML": "philips_tbj/ecg-example.xml",
             "Schiller XML": "cvrg/schiller.xml", "none": "ecgtoolkit/Example.xml", "china": "aecg_cn_fda/1/1.xml"}
    for kind, path in files.items():
        head = (formats / path).read_bytes()[:4096]
        assert [r.NAME for r, _ in ROOTS if r.sniff(head, "x.xml")] == ([kind] if kind.endswith("XML") else [])
