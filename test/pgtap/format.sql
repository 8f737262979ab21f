-- The formats of JSON Schema, by their RFCs.
begin;
select no_plan();

-- What a format takes, and what it does not.
create temporary table example(format text, valid boolean, texts text[]);
insert into example values
    ('date-time', true, array[
        '2024-02-29T12:00:00Z', '0000-01-01t00:00:00z', '9999-12-31T23:59:59.999999999999999999+23:59',
        '2015-06-30T23:59:60Z', '2015-07-01T01:59:60.5+02:00', '2015-06-30T12:29:60-11:30',
        '2024-03-10T00:00:00-00:00']),
    ('date-time', false, array[
        '', '2024-02-29', '2024-02-29 12:00:00Z', '2023-02-29T12:00:00Z', '2024-02-29T12:00:00',
        '2024-02-29T12:00Z', '2024-02-29T12:00:00,5Z', '2024-02-29T12:00:00.Z', '2024-02-29T24:00:00Z',
        '2015-06-30T23:59:60+02:00', '2015-06-30T22:59:60Z', '2024-02-29T12:00:00+0100',
        '2024-02-29T12:00:00+24:00', '2024-02-29T12:00:00+01:60', '2024-02-29T12:00:00ZZ',
        '2024-02-29TT12:00:00Z', '２０２４-02-29T12:00:00Z', '2024-02-29T12:00:0٣Z', '24-02-29T12:00:00Z']),
    ('date', true, array[
        '2024-02-29', '2000-02-29', '0000-02-29', '2023-04-30', '9999-12-31']),
    ('date', false, array[
        '1900-02-29', '2023-02-29', '2023-04-31', '2023-06-31', '2023-09-31', '2023-11-31', '2023-00-10',
        '2023-13-10', '2023-10-00', '2023-10-32', '2023-1-10', '20231010', '2023-10-10T', '2023/10/10',
        '2023-10-1a', '-023-10-10', '2023-10-10 ', '']),
    ('time', true, array[
        '12:34:56Z', '12:34:56z', '00:00:00+00:00', '23:59:59.1-23:59', '23:59:60Z', '00:59:60+01:00',
        '18:59:60.25-05:00']),
    ('time', false, array[
        '12:34:56', '12:34Z', '12:34:5Z', '1:34:56Z', '24:00:00Z', '12:60:00Z', '12:34:61Z', '12:34:60Z',
        '23:59:60+01:00', '12:34:56.Z', '12:34:56+1:00', '12:34:56+01', '12:34:56+0100', '12:34:56+01:00Z',
        'T12:34:56Z', '12-34-56Z', '12:34:56 Z', '']),
    ('duration', true, array[
        'P1Y', 'P1Y2M', 'P1Y2M3D', 'P2M3D', 'P3D', 'P3DT4H', 'PT4H5M6S', 'PT5M6S', 'PT6S', 'PT4H5M', 'P0W',
        'P00052W', 'p1y2m3dt4h5m6s', 'P1YT1S', 'P99999999999999999999Y']),
    ('duration', false, array[
        '', 'P', 'PT', 'P1', '1Y', 'P1S', 'PT1Y', 'PT1D', 'P1Y3D', 'PT4H6S', 'P1W1D', 'P1D1W', 'P1WT1H',
        'P1M1Y', 'P1D1D', 'P1YT', 'P1.5D', 'P-1D', '-P1D', 'P 1D', 'P1D ', 'PT1HT1M', 'P١D']),
    ('uuid', true, array[
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '6BA7B810-9DAD-11D1-80B4-00C04FD430C8',
        'ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000',
        '01936d3c-8b9f-7000-8000-0123456789ab']),
    ('uuid', false, array[
        '', '6ba7b8109dad11d180b400c04fd430c8', '{6ba7b810-9dad-11d1-80b4-00c04fd430c8}',
        '6ba7b810-9dad-11d1-80b4-00c04fd430c', '6ba7b810-9dad-11d1-80b4-00c04fd430c88',
        '6ba7b810-9dad-11d1-80b400c04fd430c8--', 'g ba7b81-9dad-11d1-80b4-00c04fd430c8',
        '6ba7b810-9dad-11d1-80b4-00c04fd430cg', '6ba7b8-109dad-11d1-80b4-00c04fd430c8',
        '６ba7b810-9dad-11d1-80b4-00c04fd430c']),
    ('email', true, array[
        'a@b', 'noor@example.org', 'first.last+tag@sub.example.org', '!#$%&''*+-/=?^_`{|}~@example.org',
        '""@example.org', '"a b"@example.org', '"a\"b\\c"@example.org', '"@"@example.org', 'a@[192.0.2.1]',
        'a@[192.000.002.001]', 'a@[IPv6:2001:db8::1]', 'a@[ipv6:::]', 'a@[IPv6:::ffff:192.0.2.1]', 'a@1.2',
        'A@EXAMPLE.ORG', repeat('a', 64) || '@example.org', 'a@' || repeat('b', 63) || '.org']),
    ('email', false, array[
        '', 'a', '@', 'a@', '@b', 'a@b@c', '.a@b', 'a.@b', 'a..b@c', 'a b@c', 'a@b c', 'a@-b', 'a@b-',
        'a@b..c', 'a@.b', 'a@b.', 'a@b_c', '"a@b', '"a"b@c', 'a"b"@c', '"a\"@b', 'a@[192.0.2.256]',
        'a@[192.0.2]', 'a@192.0.2.1]', 'a@[2001:db8::1]', 'a@[IPv6:1:2:3:4:5:6:7::]', 'a@[IPv6:12345::]',
        'a@[x:y]', '(c)a@b', 'a@b(c)', '<a@b>', 'a,b@c', repeat('a', 65) || '@example.org',
        'a@' || repeat('b', 64) || '.org',
        'a@' || repeat('b', 61) || '.' || repeat('b', 61) || '.' || repeat('b', 61) || '.' || repeat('b', 61) || '.bbbbb',
        E'a\u0009b@c', 'é@example.org', 'a@é.org', '"é"@example.org']),
    ('idn-email', true, array[
        'a@b', 'noor@example.org', 'first.last+tag@sub.example.org', '!#$%&''*+-/=?^_`{|}~@example.org',
        '""@example.org', '"a b"@example.org', '"a\"b\\c"@example.org', '"@"@example.org', 'a@[192.0.2.1]',
        'a@[192.000.002.001]', 'a@[IPv6:2001:db8::1]', 'a@[ipv6:::]', 'a@[IPv6:::ffff:192.0.2.1]', 'a@1.2',
        'A@EXAMPLE.ORG', repeat('a', 64) || '@example.org', 'a@' || repeat('b', 63) || '.org',
        'é@example.org', '用户@例え.jp', '"é è"@example.org', 'a@é.org', E'a@e\u0301.org', 'é.è@é.è',
        '😀@example.org', repeat('é', 32) || '@example.org']),
    ('idn-email', false, array[
        '', 'é', 'é@', '@é', '.é@b', 'é..è@b', 'a@é..b', 'a@-é', 'a@é b', 'a@☃!.org', 'a@·l', '"\é"@b',
        repeat('é', 33) || '@example.org', 'a＠b', 'a@b。c', 'é(c)@b']),
    ('hostname', true, array[
        'a', 'example.org', 'EXAMPLE.ORG', 'a-b', 'a--b', '1', '1a.2b', '127.0.0.1', '3com.com',
        repeat('x', 63),
        repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.xyz',
        'xn--mnchen-3ya.de', 'XN--MNCHEN-3YA.de', 'xn--1lqs71d.jp', 'ab--cd']),
    ('hostname', false, array[
        '', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a.-b', 'a_b', 'a b', 'a*', '*.org', repeat('x', 64),
        repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.xyzz',
        'a:80', 'http://a', 'xn--', 'xn--a', 'xn--99999999', 'xn--abc-', 'xn--a-ecp.ru', 'münchen.de', 'a。b',
        'ａ']),
    ('idn-hostname', true, array[
        'a', 'example.org', 'EXAMPLE.ORG', 'a-b', 'a--b', '1', '1a.2b', '127.0.0.1', '3com.com',
        repeat('x', 63),
        repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.xyz',
        'xn--mnchen-3ya.de', 'XN--MNCHEN-3YA.de', 'xn--1lqs71d.jp', 'münchen.de', '例え。jp', '例え．jp', '例え｡jp',
        'straße.de', 'עברית.org', 'اختبار', 'l·l', 'π͵α', 'א׳ב', 'א״ב', 'カ・ナ', E'\u0915\u094d\u200d\u0937',
        E'\u0915\u094d\u200c\u0937', E'\u0628\u064a\u200c\u0628\u064a', 'ب٠', '۰۱', 'éééééééééé.é']),
    ('idn-hostname', false, array[
        '', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a.-b', 'a_b', 'a b', 'a*', '*.org', repeat('x', 64),
        repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.' || repeat('x', 49) || '.xyzz',
        'a:80', 'http://a', 'xn--', 'xn--a', 'xn--99999999', 'xn--abc-', 'xn--a-ecp.ru', 'München.de',
        'MÜNCHEN', E'e\u0301.org', E'\u0301a', '-é', 'é-', 'éé--é', 'ab--cd', '☃.org', '😀.org', '½', 'ﬁ',
        E'a\u00adb', 'a·l', '·', 'π͵a', 'a׳', '׳א', '・', E'a\u200db', E'\u0628\u200ca', 'ب٠۰', 'אa', 'aא',
        '0א', '1a.עברית', 'א1٠', repeat('é', 60), repeat('中', 60), '가', '〮', '〱']),
    ('ipv4', true, array[
        '0.0.0.0', '255.255.255.255', '192.0.2.1', '1.20.199.200']),
    ('ipv4', false, array[
        '', '1', '1.2.3', '1.2.3.4.5', '1.2.3.', '.1.2.3', '1..2.3', '01.2.3.4', '1.2.3.00', '256.1.1.1',
        '1.1.1.999', '1.1.1.1000', '1.2.3.a', '0x1.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4/8', '-1.2.3.4',
        '１.2.3.4', '::1']),
    ('ipv6', true, array[
        '::', '::1', '1::', '2001:db8::1', '2001:DB8::A', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::',
        '::2:3:4:5:6:7:8', '1::3:4:5:6:7:8', '::ffff:192.0.2.1', '1:2:3:4:5:6:192.0.2.1',
        '64:ff9b::192.0.2.33', '0001:0000::']),
    ('ipv6', false, array[
        '', '1', ':', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8',
        '1::2::3', ':1', '1:', '1:::2', '00001::', 'g::', '::192.0.2', '::192.0.2.256', '::192.0.2.01',
        '192.0.2.1::', '1:2:3:4:5:6:7:192.0.2.1', 'fe80::1%eth0', '::1/128', '[::1]', ' ::1', '::1 ']),
    ('uri', true, array[
        'a:', 'a:b', 'A+b-c.1:x', 'http://example.org', 'http://example.org:',
        'http://example.org:80/a/b;c=d?e=f&g#h', 'http://user:pass@example.org/', 'http://@/', 'file:///etc',
        'http://[::1]:80/', 'http://[v1.a:b]/', 'http://[vF.~]', 'http://a%20b/', 'urn:isbn:0451450523',
        'mailto:a@b', 'tel:+31-20', 'a://', 'a:/b//c', 'a:?', 'a:#', 'a:?/?#/?', 'a:!$&''()*+,;=:@-._~']),
    ('uri', false, array[
        '1a:b', 'a_b:c', ':b', 'http://a b', 'http://a/ b', 'http://a/b"c', 'http://a/<b>', 'http://a/{b}',
        'http://a/b|c', 'http://a/b\c', 'http://a/b^c', 'http://a/b`c', 'http://a/%', 'http://a/%4',
        'http://a/%4g', 'http://a:b/', 'http://a:80b', 'http://[::1', 'http://::1]', 'http://[1.2.3.4]',
        'http://[::1%25eth0]', 'http://[v.a]', 'http://[v1.]', 'http://[]', 'http://[::1]a', 'http://a@b@c',
        'http://a[b', 'http://a/[b]', 'a:b#c#d', 'http://a?b[c]', '', 'a', '/a', '//a', '?a', '#a',
        'http://é/', 'a:é']),
    ('uri-reference', true, array[
        'a:', 'a:b', 'A+b-c.1:x', 'http://example.org', 'http://example.org:',
        'http://example.org:80/a/b;c=d?e=f&g#h', 'http://user:pass@example.org/', 'http://@/', 'file:///etc',
        'http://[::1]:80/', 'http://[v1.a:b]/', 'http://[vF.~]', 'http://a%20b/', 'urn:isbn:0451450523',
        'mailto:a@b', 'tel:+31-20', 'a://', 'a:/b//c', 'a:?', 'a:#', 'a:?/?#/?', 'a:!$&''()*+,;=:@-._~', '',
        'a', '/', '/a', '//', '//a:80/b', '?a', '#a', '.', '..', './a:b', 'a/b:c', 'a?b:c', '//[::1]', 'a@b',
        '%41', '/a:b']),
    ('uri-reference', false, array[
        '1a:b', 'a_b:c', ':b', 'http://a b', 'http://a/ b', 'http://a/b"c', 'http://a/<b>', 'http://a/{b}',
        'http://a/b|c', 'http://a/b\c', 'http://a/b^c', 'http://a/b`c', 'http://a/%', 'http://a/%4',
        'http://a/%4g', 'http://a:b/', 'http://a:80b', 'http://[::1', 'http://::1]', 'http://[1.2.3.4]',
        'http://[::1%25eth0]', 'http://[v.a]', 'http://[v1.]', 'http://[]', 'http://[::1]a', 'http://a@b@c',
        'http://a[b', 'http://a/[b]', 'a:b#c#d', 'http://a?b[c]', '%41:b', 'é', '/é', '//a:b']),
    ('iri', true, array[
        'a:', 'a:b', 'A+b-c.1:x', 'http://example.org', 'http://example.org:',
        'http://example.org:80/a/b;c=d?e=f&g#h', 'http://user:pass@example.org/', 'http://@/', 'file:///etc',
        'http://[::1]:80/', 'http://[v1.a:b]/', 'http://[vF.~]', 'http://a%20b/', 'urn:isbn:0451450523',
        'mailto:a@b', 'tel:+31-20', 'a://', 'a:/b//c', 'a:?', 'a:#', 'a:?/?#/?', 'a:!$&''()*+,;=:@-._~',
        'http://é.org/é?é#é', 'a:中', 'a:😀', E'a:?\ue000', E'a:?\U000f0000', E'a:\u00a0', 'a:￯']),
    ('iri', false, array[
        '1a:b', 'a_b:c', ':b', 'http://a b', 'http://a/ b', 'http://a/b"c', 'http://a/<b>', 'http://a/{b}',
        'http://a/b|c', 'http://a/b\c', 'http://a/b^c', 'http://a/b`c', 'http://a/%', 'http://a/%4',
        'http://a/%4g', 'http://a:b/', 'http://a:80b', 'http://[::1', 'http://::1]', 'http://[1.2.3.4]',
        'http://[::1%25eth0]', 'http://[v.a]', 'http://[v1.]', 'http://[]', 'http://[::1]a', 'http://a@b@c',
        'http://a[b', 'http://a/[b]', 'a:b#c#d', 'http://a?b[c]', '', 'é', 'é:a', '/é', E'a:\ue000',
        E'a:#\ue000', E'a:\u0080', E'a:\ufdd0', E'a:\ufff0', E'a:\uffff', E'a:\U0001ffff', E'a:\U000e0001',
        E'a:\u200e', E'a:\u202e', 'http://é:é/', 'http://[é]/']),
    ('iri-reference', true, array[
        'a:', 'a:b', 'A+b-c.1:x', 'http://example.org', 'http://example.org:',
        'http://example.org:80/a/b;c=d?e=f&g#h', 'http://user:pass@example.org/', 'http://@/', 'file:///etc',
        'http://[::1]:80/', 'http://[v1.a:b]/', 'http://[vF.~]', 'http://a%20b/', 'urn:isbn:0451450523',
        'mailto:a@b', 'tel:+31-20', 'a://', 'a:/b//c', 'a:?', 'a:#', 'a:?/?#/?', 'a:!$&''()*+,;=:@-._~', '',
        'é', '/é', '//é', '?é', '#é', E'?\ue000', 'é/b:c', './é:b']),
    ('iri-reference', false, array[
        '1a:b', 'a_b:c', ':b', 'http://a b', 'http://a/ b', 'http://a/b"c', 'http://a/<b>', 'http://a/{b}',
        'http://a/b|c', 'http://a/b\c', 'http://a/b^c', 'http://a/b`c', 'http://a/%', 'http://a/%4',
        'http://a/%4g', 'http://a:b/', 'http://a:80b', 'http://[::1', 'http://::1]', 'http://[1.2.3.4]',
        'http://[::1%25eth0]', 'http://[v.a]', 'http://[v1.]', 'http://[]', 'http://[::1]a', 'http://a@b@c',
        'http://a[b', 'http://a/[b]', 'a:b#c#d', 'http://a?b[c]', 'é:b', E'#\ue000', E'/\ue000', 'é b', 'é%',
        'é\', E'\u200f', '//é:é']),
    ('uri-template', true, array[
        '', 'a', '/a/b', '{a}', '{a_b}', '{a.b}', '{%41}', '{1}', '{a,b}', '{a:1}', '{a:9999}', '{a*}',
        '{a:3,b*}', '{+a}', '{#a}', '{.a}', '{/a}', '{;a}', '{?a,b}', '{&a}', '{=a}', '{|a}', '{,a}',
        '{a}{b}', 'é{a}', '%41', 'a''b', E'?\ue000']),
    ('uri-template', false, array[
        '{', '}', '{}', '{a', 'a}', '{{a}}', '{a}}', '{a b}', '{a,}', '{a:}', '{a:0}', '{a:01}', '{a:10000}',
        '{a:1*}', '{a*:1}', '{a**}', '{.}', '{a.}', '{a..b}', '{a-b}', '{é}', '{%4}', '{+}', '{++a}', '%',
        '%4', 'a b', 'a"b', 'a<b', 'a\b', 'a^b', 'a`b', 'a|b', E'\u0080', E'\ufdd0']),
    ('json-pointer', true, array[
        '', '/', '//', '/a', '/a/b', '/~0', '/~1', '/~01', '/é', '/ ', '/a b/"\', '/-', '/0/1']),
    ('json-pointer', false, array[
        'a', 'a/b', '#', '#/a', '/~', '/~2', '/~a', '/a~', '/~~0', '/~/', '~0', ' /a']),
    ('relative-json-pointer', true, array[
        '0', '1', '10', '0#', '12#', '0/', '0/a/b', '1/~0~1', '0+1', '0-1/a', '2+0', '0-10#']),
    ('relative-json-pointer', false, array[
        '', '#', '/a', '-1', '+1', '00', '01', '01#', '0##', '0#/a', '0a', '0~', '0/~', '0/~2', '0+', '0+a',
        '0+01', '0+-1', '1.5', ' 0', '0 ', '٠']),
    ('regex', true, array[
        '', 'a', 'a|b', '^a$', '(a)(?:b)(?=c)(?!d)(?<=e)(?<!f)', '(?<n>a)\k<n>\1', '\k<n>(?<n>a)',
        'a*?b+?c??d{1}?e{1,}f{1,2}', '[a-z]', '[^]', '[]', '[\b\-\]]', '\d\D\w\W\s\S\b\B',
        '\0\x41\u0041\u{1f600}\cJ', '\p{L}\P{Lu}\p{gc=Nd}\p{Script=Latin}\p{Emoji}', '\/\.\*', '(?<=a+)b',
        'a{100000}', '😀']),
    ('regex', false, array[
        '(', 'a)', '[', '[a', '*', '+a', '?', 'a**', 'a{2,1}', '(?a)', '(?i)a', '(?<n)', '(?<1>a)',
        '(?<n>a)(?<n>b)', '\k<n>', '\k', '\1', '[b-a]', '\', '\a', '\e', '\A', '\z', '\Z', '\Q', '\c', '\c1',
        '\x4', '\u004', '\u{110000}', '\p', '\p{', '\p{Foo}', '\p{Script=Foo}', '[\p{Foo}]', '^*', '(?=a)+']);

select is(f6_validate(jsonb_build_object('format', format), to_jsonb(text), true), valid,
    format('%s: %s', format, left(to_jsonb(text)::text, 80)))
from example, unnest(texts) text;

-- A format concerns strings, and one that nobody defines concerns nothing.
select ok(f6_validate(jsonb_build_object('format', format), '[1, {}, null, true]', true), format || ' leaves other types alone')
from (select distinct format from example) known;
select ok(f6_validate('{"format": "colour"}', '"?"', true), 'an unknown format means nothing');
select ok(f6_validate('{"format": "date"}', '"?"'), 'a format is an annotation unless it is asked to be more');

-- A megabyte takes its time once, not once a byte.
set local statement_timeout = '30s';
select ok(f6_validate(jsonb_build_object('format', format), to_jsonb(repeat(part, 1000000 / length(part))), true) is not null,
    format('%s bears a megabyte of %s', format, part))
from (select distinct format from example) known, unnest(array['a', '1', '.', ':', '%', '%41', '/', '~0', '{a}', '"', '(', '[', 'a.', 'é', '中.', 'xn--a.']) part;

select * from finish();
rollback;
