"""Lists of rules as people save them, in CSV of any spelling and in workbooks: read as they were meant, or refused by cell."""

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from random import Random
from typing import Any

import pytest
import xlsxwriter

from securitygroups.firewall.formats.columns import column_of
from securitygroups.firewall.formats.documents import RULE_KEYS
from securitygroups.firewall.formats.reading import Reading, Taken
from securitygroups.firewall.formats.spreadsheet import read_any, read_table, write_csv, write_xlsx
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.values import Rule
from tests.factories import rule
from tests.firewall.strategies import random_list

Cells = Sequence[Sequence[Any]]
MADE = datetime(2026, 1, 2, tzinfo=UTC)
HEADER = ",".join(RULE_KEYS)
GOOD = "accept,in,tcp,203.0.113.0/24,,22,22,Office SSH,true"
SSH = (rule("accept in tcp 22 from 203.0.113.0/24", "Office SSH"),)
TABLE = [line.split(",") for line in (HEADER, GOOD)]


def workbook(*sheets: Cells | Callable[[Any, Any], None], names: Sequence[str] = ("Rules", "Old", "More")) -> bytes:
    """An xlsx file; a sheet is its cells, or what writes them."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        for name, cells in zip(names, sheets, strict=False):
            sheet = book.add_worksheet(name)
            if callable(cells):
                cells(book, sheet)
            else:
                for number, row in enumerate(cells):
                    sheet.write_row(number, 0, row)
    return file.getvalue()


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def ods(rows: str) -> bytes:
    """An OpenDocument file with the rows of one sheet, as LibreOffice writes them."""
    spaces = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f'<office:document-content{spaces}><office:body><office:spreadsheet><table:table table:name="Rules">{rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    mimetype = b"application/vnd.oasis.opendocument.spreadsheet"
    return zipped({"mimetype": mimetype, "content.xml": content.encode(), "META-INF/manifest.xml": b"<manifest/>"})


def ods_row(*cells: str, tail: str = "") -> str:
    written = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
        if cell
        else "<table:table-cell/>"
        for cell in cells
    )
    return f"<table:table-row>{written}{tail}</table:table-row>"


FILL = (
    '<table:table-row table:number-rows-repeated="1048570"><table:table-cell table:number-columns-repeated="16384"/>'
    "</table:table-row>"
)


def text(*lines: str, sign: str = ",", end: str = "\n") -> bytes:
    return "".join(line.replace(",", sign) + end for line in lines).encode()


ONE: dict[str, bytes] = {
    "semicolons with a mark": b"\xef\xbb\xbf" + text(HEADER, GOOD, sign=";", end="\r\n"),
    "tabs": text(HEADER, GOOD, sign="\t"),
    "bars": text(HEADER, GOOD, sign="|"),
    "a sep= line": b"sep=;\r\n" + text(HEADER, GOOD, sign=";", end="\r\n"),
    "a sep= line in quotes": b'"sep=;"\n' + text(HEADER, GOOD, sign=";"),
    "UTF-16 with a mark": text(HEADER, GOOD, sign="\t").decode().encode("utf-16"),
    "UTF-16 LE without one": text(HEADER, GOOD).decode().encode("utf-16-le"),
    "UTF-16 BE without one": text(HEADER, GOOD).decode().encode("utf-16-be"),
    "line ends of all kinds": f"{HEADER}\r{GOOD}\r\n\n\r".encode(),
    "empty rows before, between and behind": text(",,,,,,,,", "", HEADER, ",,,,,,,,", GOOD, ",,,,,,,,", " ,,,,,,,,"),
    "empty columns": text(f",{HEADER},,", f",{GOOD},,"),
    "a title and remarks": text("Rules of web; revision 3", "", HEADER, "# the office", GOOD, "#drop,in,all,,,,,,true"),
    "the header once more": text(HEADER, GOOD, HEADER),
    "a header in capitals": text(HEADER.upper(), GOOD),
    "WAHR": text(HEADER, GOOD.replace("true", "WAHR")),
    "VRAI": text(HEADER, GOOD.replace("true", "VRAI")),
    "a tick": text(HEADER, GOOD.replace("true", "x")),
    "1": text(HEADER, GOOD.replace("true", "1")),
    "floats": text(HEADER, GOOD.replace("22,22", "22.0,22.0")),
    "floats with a comma": text(HEADER, GOOD, sign=";").replace(b";22;22", b";22,0;22,0"),
    "a number for the protocol, with a decimal": text(HEADER, GOOD.replace("tcp", "6.0")),
    "1.0": text(HEADER, GOOD.replace("true", "1.0")),
    "はい": text(HEADER, GOOD.replace("true", "はい")),
    "启用": text(HEADER, GOOD.replace("true", "启用")),
    "blanks that are not seen": text(HEADER, GOOD.replace("accept,in,tcp,203.0.113.0/24", "accept\u200b,\ufeffin,\u00a0tcp\u200b ,203.0.113.0/24\u00a0")),
    "words of the screen": text(HEADER, GOOD.replace("accept,in,tcp", "Accept,In,TCP")),
    "names of the form": text(
        "Action,Direction,Protocol,Source IP Address,Destination IP Address,Start port,End port,Description,On", GOOD
    ),
    "columns of the page": text(
        "#,Action,Direction,Protocol,Ports,Source,Destination,Description",
        "1,Accept,In,TCP,22 (SSH),203.0.113.0/24,–,Office SSH",
    ),
    "a table in Markdown": text(
        "| Action | Direction | Protocol | Source | Ports | Description |",
        "| --- | :-- | --- | --- | --: | --- |",
        "| Accept | In | TCP | 203.0.113.0/24 | 22 | Office SSH |",
    ),
    "another order, few columns": text("comment,verdict,dir,proto,src,dst port", "Office SSH,ALLOW,ingress,TCP,203.0.113.0/24,22"),
    "a service": text("Action,Direction,Service,Source,Comment", "Allow,Inbound,SSH,203.0.113.0/24,Office SSH"),
    "a service with its port": text("Action,Direction,Protocol,Port,Source,Comment", "permit,in,SSH (TCP 22),22,203.0.113.0/24,Office SSH"),
    "an empty column of another program": text(f"{HEADER},interface", f"{GOOD},"),
    "a column that counts the rows": text(f",{HEADER}", f"0,{GOOD}"),
    "fields that Excel left out at the end": text("action,direction,protocol,source,ports,description", "accept,in,tcp,203.0.113.0/24,22,Office SSH"),
    "xlsx": workbook(TABLE),
    "xlsx with numbers and truth": workbook([TABLE[0], [*TABLE[1][:5], 22, 22.0, "Office SSH", True]]),
    "xlsx, not in the first cell": workbook([[], [], *([None, *row] for row in TABLE)]),
    "xlsx, second sheet": workbook([["What this is"], ["Rules of web"]], TABLE, names=("Read me", "Rules")),
    "ods": ods(ods_row(*TABLE[0]) + ods_row(*TABLE[1], tail='<table:table-cell table:number-columns-repeated="16375"/>') + FILL),
    "our own workbook": write_xlsx(SSH, MADE),
    "our own CSV": write_csv(SSH).encode(),
}  # fmt: skip


@pytest.mark.parametrize("what", ONE)
def test_the_same_rule_is_read_from_every_spelling(what: str) -> None:
    assert read_any(ONE[what]).rules == SSH
    assert read_file(ONE[what]).groups[0].rules == SSH


SEVERAL: dict[str, list[str]] = {
    "accept,in,tcp,,\"22,80,443\"": ["accept in tcp 22", "accept in tcp 80", "accept in tcp 443"],
    "accept,in,tcp,,80:90": ["accept in tcp 80-90"],
    "accept,in,tcp,,80–90": ["accept in tcp 80-90"],
    "accept,in,tcp/udp,,53": ["accept in tcp 53", "accept in udp 53"],
    "accept,in,DNS,,": ["accept in udp 53", "accept in tcp 53"],
    "accept,in,HTTPS,any,": ["accept in tcp 443"],
    "accept,in,HTTPS,0.0.0.0/0,443": ["accept in tcp 443 from 0.0.0.0/0"],
    "accept,in,tcp,Anywhere-IPv4,any": ["accept in tcp from 0.0.0.0/0"],
    'accept,in,tcp,"192.0.2.1, 198.51.100.0/24",22': ["accept in tcp 22 from 192.0.2.1", "accept in tcp 22 from 198.51.100.0/24"],
    "deny,Egress,ping,,-": ["drop out icmp"],
    "accept,in,icmpv6,,": ["accept in icmp from ::/0"],
    "block,out,All,*,": ["drop out all"],
    "allow,Inbound,TCP: 22-30,192.0.2.0/24,": ["accept in tcp 22-30 from 192.0.2.0/24"],
    "accept,in,6,,22": ["accept in tcp 22"],
    "accept,in,443/tcp,,": ["accept in tcp 443"],
    "accept,in,tcp,,22/tcp": ["accept in tcp 22"],
    "accept,in,tcp,,TCP 22": ["accept in tcp 22"],
}  # fmt: skip


@pytest.mark.parametrize("row", SEVERAL)
def test_a_row_with_lists_is_several_rules_as_add_rule_makes_them(row: str) -> None:
    read = read_any(text("Allow/Deny,In/Out,Protocol,Source,Port").replace(b"\n", b"\n" + row.encode() + b"\n")).rules

    assert read == tuple(map(rule, SEVERAL[row]))


def with_cell(column: int, write: Callable[[Any, Any, int], None]) -> bytes:
    """The good workbook with something else in one cell of its rule."""

    def made(book: Any, sheet: Any) -> None:
        for number, row in enumerate(TABLE):
            sheet.write_row(number, 0, row)
        write(book, sheet, column)

    return workbook(made)


def a_date(book: Any, sheet: Any, column: int) -> None:
    sheet.write_datetime(1, column, date(2026, 1, 2), book.add_format({"num_format": "d-mmm"}))


def a_time(book: Any, sheet: Any, column: int) -> None:
    sheet.write_datetime(1, column, time(22, 30), book.add_format({"num_format": "h:mm"}))


def a_number(shape: str, number: float) -> Callable[[Any, Any, int], None]:
    return lambda book, sheet, column: sheet.write_number(1, column, number, book.add_format({"num_format": shape}))


def hidden_sheet(_: Any, sheet: Any) -> None:
    for number, row in enumerate(TABLE):
        sheet.write_row(number, 0, row)
    sheet.hide()


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "an unknown column": (text(f"{HEADER},interface", f"{GOOD},eth0"), "line 1, interface", "not a column of a rule"),
    "a column without a name": (text(f"{HEADER},", f"{GOOD},eth0"), "line 1, field 10", "has no name"),
    "a source port": (text(f"{HEADER},source_port", f"{GOOD},53"), "line 1, source_port", "not a column"),
    "two columns of one meaning": (text("action,direction,protocol,src,source", "accept,in,tcp,,"), "line 1, source", "both say the source"),
    "a priority": (text(f"{HEADER},Priority", f"{GOOD},100"), "line 1, Priority", "sort the rows by it"),
    "a line in quotes": (text(HEADER, GOOD) + f'"{GOOD}"\n'.encode(), "line 3", "1 fields instead of 9"),
    "XML": (b'<?xml version="1.0"?><opnsense><filter/></opnsense>', "", "XML, which is no table"),
    "no direction": (text("action,protocol,source,port", "accept,tcp,,22"), "line 1", "no column for the direction"),
    "no rules": (text("action,direction,protocol"), "line 1", "no rules below"),
    "a rule above the names": (text(GOOD, HEADER, GOOD), "line 1", "No row names the columns"),
    "a protocol that can mean two": (text("action,direction,protocol", "accept,in,any"), "line 2, protocol", "two things"),
    "TCP/IP, which is TCP": (text("action,direction,protocol", "accept,in,TCP/IP"), "line 2, protocol", "two things"),
    "a protocol that holds the other": (text("action,direction,protocol", "accept,in,all+udp"), "line 2, protocol", "All holds the others"),
    "another protocol's port": (text("action,direction,protocol,port", "accept,in,udp,22/tcp"), "line 2, port", "choose TCP"),
    "thousands or none": (text("action,direction,protocol,port", "accept,in,tcp,22.000"), "line 2, port", "22 or 22000"),
    "a word that is no action": (text("action,direction,protocol", "zulassen,in,tcp"), "line 2, action", "“zulassen” is neither"),
    "a word that is no direction": (text("action,direction,protocol", "accept,both,tcp"), "line 2, direction", "“both” is neither"),
    "a date in CSV": (text("action,direction,protocol,port", "accept,in,tcp,2-Jan"), "line 2, port", "date or a time"),
    "a date of 1-2": (text("action,direction,protocol,port", "accept,in,tcp,01.02.2026"), "line 2, port", "date or a time"),
    "a time in CSV": (text("action,direction,protocol,port", "accept,in,tcp,22:80:00"), "line 2, port", "date or a time"),
    "a service and another port": (text("action,direction,service,port", "accept,in,https,80"), "line 2, port", "The service is TCP 443"),
    "a list with one that is none": (text("action,direction,protocol,port", 'accept,in,tcp,"22,x"'), "line 2, port", "“x” is not a port"),
    "an address inside a network": (text("action,direction,protocol,src", "accept,in,tcp,203.0.113.7/24"), "line 2, src", "203.0.113.0/24"),
    "a dash for an address": (text("action,direction,protocol,src", "accept,in,tcp,-"), "line 2, src", "“-” is not"),
    "all but": (text("action,direction,protocol,src", "accept,in,tcp,!192.0.2.0/24"), "line 2, src", "all but"),
    "ports of ICMP": (text("action,direction,protocol,port", "accept,in,icmp,22"), "line 2, port", "ICMP rules have no"),
    "no truth": (text(HEADER, GOOD.replace("true", "perhaps")), "line 2, enabled", "“perhaps” says neither on nor off"),
    "an empty truth": (text(HEADER, GOOD.replace("true", "")), "line 2, enabled", "Write true or false"),
    "rows that were sorted": (text("#,action,direction,protocol", "2,accept,in,tcp", "1,drop,in,all"), "line 3, #", "do not stand in the order"),
    "rows by the number of a rule": (text("Rule #,action,direction,protocol", "200,accept,in,tcp", "100,drop,in,all"), "line 3, Rule #", "do not stand in the order"),
    "rows by numbers with dots": (text("No.,action,direction,protocol", "2.,accept,in,tcp", "1.,drop,in,all"), "line 3, No.", "do not stand in the order"),
    "rows by chapters": (text("no,action,direction,protocol", "1.10,accept,in,tcp", "1.9,drop,in,all"), "line 3, no", "do not stand in the order"),
    "an error of a formula in CSV": (text("action,direction,protocol,port", "#N/A,in,tcp,22"), "line 2, action", "“#N/A” is neither"),
    "an error in Russian": (text("action,direction,protocol", "#ССЫЛКА!,in,tcp"), "line 2, action", "“#ССЫЛКА!” is neither"),
    "an error without a mark": (text("protocol,action,direction", "#HIÁNYZIK,drop,in"), "line 2, protocol", "“#HIÁNYZIK”"),
    "rows of numbered rules": (text("rule,action,direction,protocol", "2,accept,in,tcp", "1,drop,in,all"), "line 3, rule", "do not stand in the order"),
    "the second of two numbers": (text("#,Num,action,direction,protocol", "1,5,accept,in,tcp", "2,4,drop,in,all"), "line 3, Num", "do not stand in the order"),
    "rows by numbers with commas": (b"no;action;direction;protocol\n2;accept;in;tcp\n1,5;drop;in;all\n", "line 3, no", "do not stand in the order"),
    "another error in CSV": (text("enabled,action,direction,protocol", "true,#BEZUG!,in,tcp"), "line 2, action", "“#BEZUG!” is neither"),
    "a port of one digit in French thousands": (b"action;direction;protocol;port\naccept;in;tcp;8,443\n", "line 2, port", "8443, or “8; 443”"),
    "words that are no date": (text("action,direction,protocol,port", "accept,in,tcp,not 22"), "line 2, port", "is not a port"),
    "a range in words": (text("action,direction,protocol,port", "accept,in,tcp,80 bis 90"), "line 2, port", "type 80-90"),
    "a comma that is no quote": (text(HEADER, GOOD.replace("Office SSH", "Office, SSH")), "line 2", "10 fields instead of 9"),
    "a cell of a workbook": (workbook([TABLE[0], [*TABLE[1][:5], "22x", "", "", True]]), "sheet Rules, cell F2", "not a port"),
    "a date of a workbook": (with_cell(5, a_date), "sheet Rules, cell F2", "the date 2026-01-02"),
    "a time of a workbook": (with_cell(5, a_time), "sheet Rules, cell F2", "the time 22:30"),
    "thousands in CSV": (text("action,direction,protocol,port", 'accept,in,tcp,"1,433"'), "line 2, port", "write 1433, or “1; 433”"),
    "thousands of a French CSV": ("action;direction;protocol;port\naccept;in;tcp;22\u202f443\n".encode(), "line 2, port", "write 22443"),
    "thousands of a workbook": (with_cell(5, a_number("#,##0", 22443)), "sheet Rules, cell F2", "shown in two parts"),
    "thousands with a blank": (with_cell(5, a_number("#\\ ##0;[Red]-#\\ ##0", 3389)), "sheet Rules, cell F2", "shown in two parts"),
    "digits with a sign between": (with_cell(5, a_number('00"-"00', 2223)), "sheet Rules, cell F2", "shown in two parts"),
    "thousands of ods": (
        ods(
            ods_row("action", "direction", "protocol", "port")
            + ods_row("accept", "in", "tcp", tail='<table:table-cell office:value-type="float" office:value="5432"><text:p>5,432</text:p></table:table-cell>')
        ),
        "sheet Rules, cell D2",
        "shown in two parts",
    ),
    "an error in a description": (
        with_cell(7, lambda _, sheet, column: sheet.write_formula(1, column, "=1/0", None, "#DIV/0!")),
        "sheet Rules, cell H2",
        "an error instead of a value",
    ),
    "an error of a workbook": (
        with_cell(3, lambda _, sheet, column: sheet.write_formula(1, column, "=1/0", None, "#DIV/0!")),
        "sheet Rules, cell D2",
        "an error instead of a value",
    ),
    "merged cells": (
        with_cell(3, lambda _, sheet, column: sheet.merge_range(1, column, 2, column, "192.0.2.1")),
        "sheet Rules, cell D2",
        "Cells are merged",
    ),
    "a decimal": (workbook([TABLE[0], [*TABLE[1][:5], 22.8, "", "", True]]), "sheet Rules, cell F2", "22.8"),
    "a cell far beside": (
        with_cell(30, lambda _, sheet, column: sheet.write_string(1, column, "x")),
        "sheet Rules, row 2",
        "AE2 stands beside the columns",
    ),
    "a column that counts otherwise": (text(f",{HEADER}", f"0,{GOOD}", f"2,{GOOD}"), "line 1, field 1", "has no name"),
    "a hidden sheet alone": (
        workbook([["What this is"]], hidden_sheet, names=("Read me", "Rules")),
        "sheet Rules",
        "on a sheet that is hidden",
    ),
    "no workbook": (zipped({"a.txt": b"x"}), "", "zip archive, and no workbook"),
    "a workbook of a few bytes": (b"PK\x03\x04" + b"\0" * 40, "", "damaged"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "", "Excel 97–2003 (.xls)"),
    "a password": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "", "protected with a password"),
    "Numbers": (zipped({"Index/Document.iwa": b"x", "preview.jpg": b"x"}), "", "an Apple Numbers document"),
    "Word": (zipped({"[Content_Types].xml": b"x", "word/document.xml": b"<x/>"}), "", "a Word document"),
    "a page that is called .xls": (
        b'<html xmlns:x="urn:schemas-microsoft-com:office:excel"><body><table><tr><td>Action</td></tr></table>',
        "",
        "a web page with a table",
    ),
    "a table alone": (b"\n<TABLE border=1><tr><td>Action</td></tr></TABLE>", "", "a web page with a table"),
    "Parquet": (b"PAR1\x15\x04", "", "a Parquet file"),
    "SYLK": (b"ID;PWXL;N;E\n", "", "a SYLK file"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "", "a picture"),
    "a PDF": (b"%PDF-1.7", "", "a PDF"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_could_be_meant_otherwise_is_refused_at_its_cell(what: str) -> None:
    data, where, words = REFUSED[what]

    with pytest.raises(BadDocument) as caught:
        read_any(data)

    assert any(fault.where == where and words in str(fault.problem) for fault in caught.value.faults), str(caught.value)


def parts_of(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_cell_xml(cell: str) -> bytes:
    """The good workbook with other XML for the cell D2."""
    parts = parts_of(workbook(TABLE))
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    start = sheet.index('<c r="D2"')
    end = sheet.index("</c>", start) + len("</c>")
    parts["xl/worksheets/sheet1.xml"] = (sheet[:start] + cell + sheet[end:]).encode()
    return zipped(parts)


@pytest.mark.parametrize(
    "inside", ["<f>B7</f>", "<f>B7</f><v></v>", "<f>B7</f><v/>", "<f>B7</f><v> </v>", '<f t="shared" si="0"/><v/>']
)
def test_a_formula_that_was_never_reckoned_is_not_taken_for_any_address(inside: str) -> None:
    """Programs that write workbooks leave the value of a formula to Excel."""
    with pytest.raises(BadDocument, match="cell D2: The cell has a formula that was never reckoned"):
        read_any(with_cell_xml(f'<c r="D2">{inside}</c>'))


@pytest.mark.parametrize(
    ("shape", "number"),
    [("#,##0", 8080), ("#,##0", 22), ("0", 22443), ("General", 3389), ("0.00", 3389), ("0.00E+00", 5432)],
)
def test_a_number_that_can_be_read_in_one_way_is_one_port(shape: str, number: int) -> None:
    def made(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["action", "direction", "protocol", "port"])
        sheet.write_row(1, 0, ["accept", "in", "tcp"])
        sheet.write_number(1, 3, number, book.add_format({"num_format": shape}))

    assert read_any(workbook(made)).rules == (rule(f"accept in tcp {number}"),)


def test_ports_that_a_person_lists_with_commas_are_several_where_commas_are_not_between_thousands() -> None:
    expected = (rule("accept in tcp 22"), rule("accept in tcp 443"))

    assert read_any(b"action;direction;protocol;port\naccept;in;tcp;22,443\n").rules == expected
    assert read_any(text("action,direction,protocol,port", 'accept,in,tcp,"22, 443"')).rules == expected
    assert (
        read_any(workbook([["action", "direction", "protocol", "port"], ["accept", "in", "tcp", "22,443"]])).rules
        == expected
    )


def test_a_description_that_a_spreadsheet_took_for_a_date_is_that_date() -> None:
    (one,) = read_any(with_cell(7, a_date)).rules

    assert one.description == "2026-01-02"


@pytest.mark.parametrize(
    "cell",
    ["02. Mrz", "2-mars", "02-mar", "02.мар", "2月3日", "3월 2일", "22年3月2日", "Mar-22", "févr.-22", "22. 2.", "02.03.", "2026-03-02 00:00", "8:30 PM",
     "08:21:00 PM", "20:21:00", "März 2"],
)  # fmt: skip
def test_what_a_spreadsheet_of_any_language_makes_of_a_range_is_named_for_what_it_is(cell: str) -> None:
    with pytest.raises(BadDocument, match=r"line 2, port: The cell has .* which looks like a date or a time"):
        read_any(text("action,direction,protocol,port", f"accept,in,tcp,{cell}"))


def test_a_formula_with_a_value_is_read_as_its_value() -> None:
    whole = with_cell_xml('<c r="D2" t="str"><f>B7</f><v>203.0.113.0/24</v></c>')
    empty = with_cell_xml('<c r="D2" t="str"><f>IF(FALSE,1,"")</f><v></v></c>')

    assert read_any(whole).rules == SSH
    assert read_any(empty).rules[0].source is None


def test_a_formula_of_ods_without_a_value_is_refused() -> None:
    row = ods_row(*TABLE[1]).replace(
        '<table:table-cell office:value-type="string"><text:p>203.0.113.0/24</text:p></table:table-cell>',
        '<table:table-cell table:formula="of:=B7"/>',
    )

    with pytest.raises(BadDocument, match="cell D2: The cell has a formula that was never reckoned"):
        read_any(ods(ods_row(*TABLE[0]) + row))


def told(data: bytes) -> str:
    return read_table(data).system


def test_it_is_told_what_a_file_was_read_as() -> None:
    legacy = text(HEADER, GOOD.replace("Office", "B\u00fcro \u20ac"), sign=";").decode().encode("cp1252")

    assert told(ONE["tabs"]) == "CSV, fields separated by tabs"
    assert told(ONE["UTF-16 with a mark"]) == "CSV, fields separated by tabs, UTF-16"
    assert told(legacy) == "CSV, fields separated by semicolons, Windows-1252"
    assert read_any(legacy).rules[0].description == "B\u00fcro \u20ac SSH"
    assert told(ONE["xlsx, second sheet"]) == "Excel workbook, sheet Rules"
    assert told(ONE["ods"]) == "OpenDocument workbook, sheet Rules"


@pytest.mark.parametrize(
    "words",
    ["Büro", "für Größe", "café", "Señor año", "Ærø", "l’accès", "São Paulo", "Åland", "Ñ", "1 000 °C", "± 5", "¿qué?", "œuvre", "“x” – y"],
)  # fmt: skip
@pytest.mark.parametrize("number", [1, 30])
def test_a_word_of_western_europe_is_read_as_it_is_however_short_the_file(words: str, number: int) -> None:
    lines = [HEADER, *[GOOD.replace("Office SSH", words)] * number]

    assert {one.description for one in read_any(text(*lines, sign=";").decode().encode("cp1252")).rules} == {words}


def test_excel_for_mac_writes_another_charset_and_ends_lines_with_returns() -> None:
    whole = text(HEADER, GOOD.replace("Office", "Büro ‘é’"), sign=";", end="\r").decode().encode("mac_roman")

    assert told(whole) == "CSV, fields separated by semicolons, Mac Roman"
    assert read_any(whole).rules[0].description == "Büro ‘é’ SSH"


@pytest.mark.parametrize(
    ("charset", "words"),
    [("cp1251", "Доступ из офиса в Москве, Заявка"), ("cp932", "東京オフィスからの接続を許可する"), ("gb18030", "北京办公室访问网站服务器")],
)  # fmt: skip
def test_other_charsets_are_told_by_a_sentence_and_asked_for_with_a_word(charset: str, words: str) -> None:
    def saved(said: str) -> bytes:
        return text(HEADER, GOOD.replace("Office SSH", said), sign="\t").decode().encode(charset)

    assert read_any(saved(words.replace(",", ""))).rules[0].description == words.replace(",", "")
    with pytest.raises(BadDocument, match="line 2: The file is not UTF-8, and has too few other letters"):
        read_any(saved(words[:5]))


def test_rules_of_a_second_sheet_are_told_to_be_left_out() -> None:
    (note,) = read_table(workbook(TABLE, TABLE)).notes

    assert (note.where, note.taken) == ("sheet Old", Taken.NOT_TAKEN)


def test_what_a_spreadsheet_hides_is_told() -> None:
    """Rows that a filter hides are rules of the list, and a sheet that is hidden is none that was looked at."""

    def made(_: Any, sheet: Any) -> None:
        for number, row in enumerate([*TABLE, TABLE[1], TABLE[1]]):
            sheet.write_row(number, 0, row)
        sheet.set_row(2, None, None, {"hidden": True})

    reading = read_table(workbook(made, hidden_sheet))
    (note,) = reading.notes

    assert len(reading.groups[0].rules) == 3
    assert reading.system == "Excel workbook, sheet Rules, 1 hidden row with it"
    assert (note.where, note.taken) == ("sheet Old", Taken.NOT_TAKEN)
    assert "hidden, and was left out" in note.how
    filtered = ods_row(*TABLE[1]).replace("<table:table-row>", '<table:table-row table:visibility="filter">')
    assert told(ods(ods_row(*TABLE[0]) + filtered)) == "OpenDocument workbook, sheet Rules, 1 hidden row with it"


def test_a_list_of_several_groups_is_read_group_by_group() -> None:
    """As the panel's own list of rules is written."""
    head = f"Group,ID of group,#,Rule,ID,{HEADER}"
    rows = [f"{name},sg-1,{place},Accept …,r-1,{GOOD}" for name, place in (("web", 1), ("web", 4), ("db", 1))]
    reading: Reading = read_file(b"\xef\xbb\xbf" + text(head, *rows, end="\r\n"))

    assert [(group.name, group.rules) for group in reading.groups] == [("web", SSH * 2), ("db", SSH)]
    with pytest.raises(BadDocument, match=r"rules of 2 groups \(web, db\)"):
        read_any(text(head, *rows))
    assert read_any(text(head, *rows[:2])).name == "web"


def test_a_link_to_a_google_sheet_is_named() -> None:
    with pytest.raises(BadDocument, match="link to a Google sheet: choose File, Download"):
        read_file(b'{"url": "https://docs.google.com/open?id=1", "doc_id": "1", "email": "a@example.com"}')


def test_a_name_and_a_remark_are_one_description() -> None:
    (one,) = read_any(text("Name,Action,Direction,Protocol,Notes", "Web,Allow,In,HTTPS,Ticket 9")).rules

    assert one.description == "Web: Ticket 9"


def test_a_tick_means_on_where_all_others_are_empty() -> None:
    read = read_any(text("action,direction,protocol,active", "accept,in,tcp,x", "accept,in,udp,")).rules

    assert [one.enabled for one in read] == [True, False]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_written_comes_back_whatever_the_list(seed: int) -> None:
    words = ("", "=1+1", "'=1", "-1", "a;b", '"', "22", "1-2", "TRUE", "日本", "a, b", "#1")
    random = Random(seed)
    some = tuple(
        Rule(
            one.action,
            one.direction,
            one.protocol,
            one.source,
            one.destination,
            one.port_start,
            one.port_end,
            random.choice(words),
            one.enabled,
        )
        for one in random_list(random)
    )

    assert read_any(write_xlsx(some, MADE)).rules == some
    assert read_any(("\ufeff" + write_csv(some)).encode()).rules == some
    assert write_xlsx(some, MADE) == write_xlsx(some, MADE)


@pytest.mark.parametrize("what", ["xlsx", "ods", "semicolons with a mark", "UTF-16 with a mark", "our own workbook"])
def test_no_damage_brings_a_reader_down(what: str) -> None:
    random, good = Random(what), ONE[what]
    for _ in range(60):
        data = bytearray(good)
        for _ in range(random.randint(1, 6)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            assert not any(
                one.problems()
                for one in read_any(bytes(data[: random.choice((len(data), random.randrange(len(data)))) or 1])).rules
            )
        except BadDocument as refused:
            assert refused.faults


def test_no_damage_inside_a_workbook_brings_the_reader_down() -> None:
    random = Random(3)
    parts = parts_of(workbook(TABLE))
    for _ in range(120):
        name = random.choice([name for name in parts if name.startswith("xl/")])
        part = bytearray(parts[name])
        for _ in range(random.randint(1, 4)):
            part[random.randrange(len(part))] = random.choice(b'0129A<>"/rscvt=')
        try:
            assert not any(one.problems() for one in read_any(zipped({**parts, name: bytes(part)})).rules)
        except BadDocument as refused:
            assert refused.faults


@pytest.mark.parametrize("encoding", ["UTF98", "utf-7", "utf-32", "cp037", "hex"])
@pytest.mark.parametrize("part", ["xl/styles.xml", "xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_a_workbook_in_an_encoding_that_is_none_is_damaged(encoding: str, part: str) -> None:
    parts = parts_of(workbook(TABLE))
    parts[part] = parts[part].replace(b'encoding="UTF-8"', f'encoding="{encoding}"'.encode())

    with pytest.raises(BadDocument, match="damaged"):
        read_any(zipped(parts))


def with_sheet(cells: str) -> bytes:
    parts = parts_of(workbook(TABLE))
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    start, end = sheet.index("<sheetData>") + len("<sheetData>"), sheet.index("</sheetData>")
    return zipped({**parts, "xl/worksheets/sheet1.xml": (sheet[:start] + cells + sheet[end:]).encode()})


CELL = '<table:table-cell office:value-type="string" table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
BOMBS: dict[str, Callable[[], bytes]] = {
    "a cell in the last corner": lambda: with_sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
    "millions of cells": lambda: with_sheet('<row r="1">' + "<c><v>1</v></c>" * 2_000_000 + "</row>"),
    "errors alone": lambda: with_sheet('<row><c t="e"><v>#REF!</v></c></row>' * 30_000),
    "more styles than there are": lambda: zipped({**parts_of(workbook(TABLE)), "xl/styles.xml": b"<styleSheet><cellXfs>" + b"<xf/>" * 100_000 + b"</cellXfs></styleSheet>"}),
    "a gigabyte of nothing": lambda: with_sheet(" " * 200_000_000),
    "one long text in every cell": lambda: with_sheet('<row r="1"><c t="inlineStr"><is><t>' + "x" * 30_000_000 + "</t></is></c></row>" * 2),
    "a full sheet of ods": lambda: ods(f'<table:table-row table:number-rows-repeated="1048576">{CELL}</table:table-row>'),
    "half a million lines": lambda: text(HEADER) + b"\n" * 2_000_000,
    "a row of many lists": lambda: text("action,direction,protocol,port") + b'accept,in,tcp,"' + b"1," * 500_000 + b'"\n',
}  # fmt: skip


@pytest.mark.parametrize("what", BOMBS)
def test_a_file_that_is_larger_inside_than_outside_is_refused(what: str) -> None:
    with pytest.raises(BadDocument):
        read_any(BOMBS[what]())


FULL: dict[str, Callable[[], bytes]] = {
    "elements that mean nothing": lambda: with_sheet("<a/>" * 1_600_000),
    "elements in each other": lambda: with_sheet("<a>" * 800_000 + "</a>" * 800_000),
    "attributes without end": lambda: with_sheet("<row " + " ".join(f'a{n}=">"' for n in range(200_000)) + "/>"),
    "empty cells of ods": lambda: ods("<table:table-row>" + "<table:table-cell/>" * 250_001 + "</table:table-row>"),
}  # fmt: skip


@pytest.mark.parametrize("what", FULL)
def test_a_workbook_is_looked_at_only_as_far_as_a_list_of_rules_can_go(what: str) -> None:
    with pytest.raises(BadDocument, match="more than 250,000 cells"):
        read_any(FULL[what]())


@pytest.mark.parametrize(
    "name", ["Interface", "Source port", "Priority", "Type", "CIDR", "Remote IP Prefix", "Ethertype"]
)
def test_a_column_that_could_mean_something_else_is_no_column(name: str) -> None:
    assert column_of(name) == ""
