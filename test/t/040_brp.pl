# Real input: the residences of the public test set of the Dutch population registry.  F6::Brp says
# how its records become events.  Checked are questions whose answers were worked out by reading
# the file, the totals, the links, every record of every person against SQL over the plain
# file, which PostgreSQL's own CSV reader loads, and every question about histories against F6::Model.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Encode qw(decode_utf8);
use F6::Answers qw(compare kinds_of_questions microseconds);
use F6::Brp;
use F6::Model;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use constant BATCH => 1000;

my $path = defined $ENV{F6_DATA} ? "$ENV{F6_DATA}/brp/persons.csv" : undef;
plan skip_all => 'no test persons: F6_DATA names no folder with brp/persons.csv'
	unless defined $path && -r $path;

# The questions, by administration number (01.01.10, which finds the list in the file).  Above
# them stand the records of category 08, oldest first: date of validity, day taken up, O when
# marked incorrect, residence.  A question is: valid on (its start), known on (its end), the
# answer, why.  Every record and correction is validated when it is made, so the answer
# is the same legally and as claimed.
my @persons = (

	# Lg01_531
	#   1978-04-18  1994-03-10    Golfbaan 13
	#   1981-03-12  1994-03-10    Spechtlaan 149
	#   1987-05-27  1994-03-10    Amelbergahof 11
	#   1989-09-12  1994-03-10    country 5010, no address
	#   1998-08-01  1998-08-01 O  Minervaplein 11
	#   1998-08-02  1998-08-02    Minervaplein 11
	#   1999-02-28  1999-02-28 O  Grote Markt 3
	#   1999-02-28  1999-03-01    Grote Markt 3
	#   2000-02-28  2000-02-29 O  Thorbeckelaan 73
	#   2000-02-28  2000-03-01    Thorbeckelaan 731
	#   2009-11-01  2009-11-01    Thorbeckelaan 731, now with the town
	1340320875 => [
		[ '1980-01-01', '1994-03-09', undef, 'nothing is taken up before 1994-03-10' ],
		[ '1980-01-01', '1994-03-10', 'Golfbaan 13, 2492WE', 'the first residence, taken up late' ],
		[ '1978-04-17', '2020-01-01', undef, 'the day before the first residence' ],
		[ '1989-09-11', '2020-01-01', 'Amelbergahof 11, 6114GX', 'the last day before leaving' ],
		[ '1989-09-12', '2020-01-01', 'land 5010', 'abroad; the street does not stay behind' ],
		[ '1998-08-01', '1998-08-01', 'Minervaplein 11, 1077TH', 'not yet found incorrect' ],
		[ '1998-08-01', '1998-08-02', 'land 5010', 'found incorrect: moved in a day later' ],
		[ '1998-08-02', '1998-08-02', 'Minervaplein 11, 1077TH', 'the record that replaced it' ],
		[ '2000-03-15', '2000-02-28', 'Grote Markt 3, 2511BG', 'the move is not known yet' ],
		[ '2000-03-15', '2000-02-29', 'Thorbeckelaan 73, 2564BG', 'with the wrong number' ],
		[ '2000-03-15', '2000-03-01', 'Thorbeckelaan 731, 2564CJ', 'with the right number' ],
		[ '2009-10-31', '2009-11-01', 'Thorbeckelaan 731, 2564CJ', 'the town is recorded from the next day on' ],
		[ '2009-11-01', '2009-11-01', "Thorbeckelaan 731, 2564CJ 's-Gravenhage", 'with the town' ] ],

	# Lg01_440
	#   1978-11-23  1992-01-02    Oude Roermondseweg 37
	#   1988-06-01  1992-01-02    Borneostraat 37
	#   1994-12-09  1994-12-12 O  Bep van Klaverenboulevar 80
	#   1994-12-09  2009-09-28    Bep van Klaverenblvd 80
	6019049546 => [
		[ '1994-12-10', '1994-12-11', 'Borneostraat 37, 3531PG', 'moved, but taken up three days later' ],
		[ '1994-12-10', '1994-12-12', 'Bep van Klaverenboulevar 80, 1034WX', 'taken up' ],
		[ '1994-12-10', '2009-09-27', 'Bep van Klaverenboulevar 80, 1034WX', 'misspelt for fifteen years' ],
		[ '1994-12-10', '2009-09-28', 'Bep van Klaverenblvd 80, 1034WX', 'set right' ] ],

	# Lg01_292
	#   1965-02-13  1965-02-15    Eerste Anjeliersdwstr 35
	#   1990-10-15  1990-10-15    Anjelierstraat 6
	#   1998-10-15  1998-10-15 O  Franekervaart 24
	#   2011-01-01  2011-01-01    Franekervaart 24, Sudwest-Fryslan
	9358151057 => [
		[ '1970-01-01', '1965-02-14', undef, 'taken up a day later' ],
		[ '1970-01-01', '1965-02-15', 'Eerste Anjeliersdwstr 35, 1015NR', 'taken up in 1965' ],
		[ '2005-01-01', '2010-12-31', 'Franekervaart 24, 8602AA', 'as the registry had it' ],
		[ '2005-01-01', '2011-01-01', 'Anjelierstraat 6, 8603XM', 'found incorrect, and its successor is valid later' ],
		[ '2011-01-01', '2011-01-01', 'Franekervaart 24, 8602AA Sudwest-Fryslan', 'the successor' ] ],

	# Lg01_645
	#   1999-12-01  1999-12-01 O  Hélène Swarthstraat 28
	#   1999-12-01  2011-02-05    Hélène Swarthstraat 29
	#   2011-02-05  2011-02-05    Hélène Swarthstraat 29, Rotterdam
	7474209524 => [
		[ '2005-06-01', '2011-02-04', 'Hélène Swarthstraat 28, 3061CL', 'the wrong house number' ],
		[ '2005-06-01', '2011-02-05', 'Hélène Swarthstraat 29, 3061CL', 'corrected back to the beginning' ],
		[ '2011-02-05', '2011-02-05', 'Hélène Swarthstraat 29, 3061CL Rotterdam', 'taken up on the same day' ] ],

	# Lg01_605
	#   1998-06-12  1998-06-12 O  Grotemarkt 21
	#   1998-06-12  2010-12-30    Grotemarkt 22
	#   2011-02-05  2011-02-05    Grotemarkt 22, Rotterdam
	2953494602 => [
		[ '2005-01-01', '2010-12-29', 'Grotemarkt 21, 3011PC', 'the wrong house number' ],
		[ '2005-01-01', '2010-12-30', 'Grotemarkt 22, 3011PA', 'corrected' ],
		[ '1998-06-11', '2020-01-01', undef, 'before the first residence' ] ],

	# Lg01_711
	#   1961-12-30  1994-03-15    Curaçaolaan 2
	#   1993-02-15  1994-03-15    country 8027, no address
	#   1993-09-10  1994-03-15    a houseboat
	#   1994-05-08  1994-05-08    Johan in 't Veltstraat 4
	#   2011-10-24  2011-10-24    Johan in 't Veltstraat 4, Rotterdam
	#   2012-05-14  2012-05-16    country 5103, Novi Sad
	#   2014-09-05  2014-09-05 O  country 5103, Novi Sad
	#   2014-09-05  2017-07-07    country 5103, 21000 Novi Sad
	9148931794 => [
		[ '1993-02-14', '1994-03-15', 'Curaçaolaan 2, 1213VK', 'the day before leaving' ],
		[ '1993-06-01', '1994-03-15', 'land 8027', 'abroad, taken up with hindsight' ],
		[ '1993-12-01', '2000-01-01', q{Woonboot "'t Lelijk Eentje"}, 'a place instead of a street, with quotes' ],
		[ '2012-05-15', '2012-05-15', "Johan in 't Veltstraat 4, 3078JG Rotterdam", 'left, but not known yet' ],
		[ '2012-05-15', '2012-05-16', 'Djordja Rajkovica 28, Novi Sad, land 5103', 'known' ],
		[ '2016-01-01', '2017-07-06', 'Djordja Rajkovica 28, Novi Sad, land 5103', 'not yet found incorrect' ],
		[ '2016-01-01', '2017-07-07', 'Djordja Rajkovica 28, 21000 Novi Sad, land 5103', 'replaced' ] ],

	# Lg01_280
	#   2012-08-26  2012-08-26 O  country 7028, Tbilisi 0160/0161
	#   2012-08-26  2012-08-28    country 7028, Tbilisi 0160
	3726505925 => [
		[ '2012-08-26', '2012-08-27',
			'3-A, Kazbegi Avenue, Tbilisi 0160/0161, Entrance 2, 4th floor, Apt. 22, land 7028',
			'three lines abroad' ],
		[ '2012-08-26', '2012-08-28',
			'3-A, Kazbegi Avenue, Tbilisi 0160, Entrance 2, 4th floor, Apt. 22, land 7028',
			'the second line corrected' ] ],

	# Lg01_285
	#   2012-10-01  2012-10-01 O  country 7006, Havana
	#   2012-10-01  2012-10-20    country 5095, Mexico
	4090582023 => [
		[ '2012-10-10', '2012-10-19', 'Calle 8 ¦ 307 e/3ra y 5a, Miramar, La Habana, land 7006',
			'another country first' ],
		[ '2012-10-10', '2012-10-20',
			'Av. Vasco de Quiroga 3000/7, 01210 Mexico-Stad, Edificio Calakmul, Colonia, land 5095',
			'the right country, from the beginning' ] ],

	# Lg01_286
	#   2012-10-22  2012-10-22 O  country 8027, PO Box 77
	#   2012-10-22  2012-10-22    country 8027, PO Box 77/1
	#   2012-10-31  2012-10-31    country 9056
	3901025409 => [
		[ '2012-10-22', '2012-10-21', undef, 'nothing taken up yet' ],
		[ '2012-10-22', '2012-10-22', 'Bairikiki Tarawa Kalarasazi, Bairiki, PO Box 77/1, land 8027',
			'taken up and corrected on one day' ],
		[ '2012-10-31', '2012-10-31',
			'Mieco Beach Ft A. Kabua Blvd Majuro, MH 96960, Rainkku, PO Box 3279, land 9056', 'moved on' ] ],

	# Lg01_887
	#   1990-12-01  1994-09-30    Tesselsestraat 59
	#   1999-02-09  1999-02-09    Machiel Vrijenhoeklaan 450
	#   2007-08-01  2007-08-01    country 5001, no address
	#   2014-09-05  2014-09-05 O  country 5001, no address
	#   2014-09-05  2015-02-01    country 5001, Québec
	5810989735 => [
		[ '1999-02-08', '2015-02-01', 'Tesselsestraat 59, 2583JH', 'the day before the move' ],
		[ '2014-12-01', '2015-01-31', 'land 5001', 'no address known' ],
		[ '2014-12-01', '2015-02-01', '690 boulevard Rene-Levesque Est, G1R 5A8 Québec, land 5001',
			'the address came later' ],
		[ '2014-09-04', '2015-02-01', 'land 5001', 'but not for the time before' ] ],

	# Lg01_713
	#   1970-03-25  1994-05-01    Eerste Anjeliersdwstr 35
	#   1984-06-15  1994-05-01    Zonnebloemstraat 10
	#   1992-01-05  1994-05-01    Zonegge 24 (the street's name) 3
	#   2011-10-12  2011-10-12    Zonegge 24 3, Zevenaar
	#   2012-03-05  2012-03-05    Burgemeester Röellstraat 1
	#   2017-07-07  2017-07-07    country 5010
	#   2019-12-30  2020-01-04    Burgemeester Röellstraat 1
	5236256031 => [
		[ '1991-12-31', '1994-05-01', 'Zonnebloemstraat 10, 6841BH', 'three taken up on one day' ],
		[ '2011-10-12', '2011-10-12', 'Zonegge 24 3, 6903HH Zevenaar', 'with the town' ],
		[ '2017-07-07', '2017-07-07', 'Rue du pomme 25, Bruxelles, postcode 1000, land 5010', 'left' ],
		[ '2020-01-01', '2020-01-03', 'Rue du pomme 25, Bruxelles, postcode 1000, land 5010',
			'back, but taken up later' ],
		[ '2020-01-01', '2020-01-04', 'Burgemeester Röellstraat 1, 1064BH Amsterdam',
			'nothing of abroad stays behind' ] ],

	# Lg01_674, all but the newest taken up on 1994-03-10
	#   1921-10-09 Prevotlaan 19; 1943-05-25 Fjûrlânswei 23; 1945-05-20 São Paulodreef 15;
	#   1949-05-20 Fjûrlânswei 23; 1950-05-20 't Sandpâd by 22; 1951-06-21 country 6039;
	#   1956-06-20 't Sandpâd by 22; 1961-05-31 country 7072; 1989-03-01 Planetenlaan 52;
	#   2000-03-10 Soestdijksekade 805, a houseboat, taken up on that day
	6456353986 => [
		[ '1945-05-20', '1994-03-10', 'São Paulodreef 15, 3563CP', 'the first day' ],
		[ '1950-05-19', '1994-03-10', 'Fjûrlânswei 23, 8495NR', 'the last day' ],
		[ '1951-06-20', '1994-03-10', 't Sandpâd by 22, 9076AN', 'a number with "by"' ],
		[ '1951-06-21', '1994-03-10', 'land 6039', 'abroad for the first time' ],
		[ '1989-02-28', '1994-03-10', 'land 7072', 'abroad for the second time' ],
		[ '2000-03-10', '2000-03-10', 'Soestdijksekade 805, 2574CG, Woonboot in de Grote Sloot', 'a street and a place' ] ],

	# Lg01_309
	#   1982-05-01  1994031       Egelantierstraat 26: the day has lost a digit, so 1994-03-10
	#   1992-04-01  1994-03-10    Laurierstraat 21
	#   2011-10-24  2011-10-24    Laurierstraat 21, 's-Gravenhage
	#   2016-08-16  2016-08-17    Ruychrocklaan 6
	5691093083 => [
		[ '1985-01-01', '1994-03-09', undef, 'not yet taken up' ],
		[ '1985-01-01', '1994-03-10', 'Egelantierstraat 26, 2565XK', 'taken up' ],
		[ '2016-08-16', '2016-08-16', "Laurierstraat 21, 2563SB 's-Gravenhage", 'taken up a day later' ],
		[ '2016-08-16', '2016-08-17', "Ruychrocklaan 6, 2597EN 's-Gravenhage", 'taken up' ] ],

	# Lg01_680
	#   00000000    1994-08-08    Leyweg 61e
	#   19960000    2012-12-12    country 6039
	8641483280 => [
		[ '0001-01-01', '1994-08-08', 'Leyweg 61e, 2545CC', 'valid since an unknown day: always' ],
		[ '1995-12-31', '2012-12-12', 'Leyweg 61e, 2545CC', 'left in 1996' ],
		[ '1996-01-01', '2012-12-12', '89 Woodcote Road, Caversham Heights, RG4 7EZ, land 6039',
			'some day in 1996 is its first day' ],
		[ '2000-01-01', '2012-12-11', 'Leyweg 61e, 2545CC', 'unknown for sixteen years' ] ],

	# Lg01_429
	#   2003-03-03  2003-03-05    Leyweg 61e
	#   20101000    2011-10-24    country 6039
	8397054964 => [
		[ '2010-10-15', '2011-10-23', 'Leyweg 61e, 2545CC', 'not yet known' ],
		[ '2010-09-30', '2011-10-24', 'Leyweg 61e, 2545CC', 'left in October' ],
		[ '2010-10-01', '2011-10-24', '89 Woodcote Road, Caversham Heights, RG4 7EZ, land 6039',
			'some day in October is its first day' ] ],

	# Lg01_719
	#   1994-09-02  1994-09-09    Amstelkade 3, addition 2
	#   2011-10-24  2011-10-24    Amstelkade 3, addition 2, Snellendam
	#   20111200    2011-12-12    country 5003, no address
	2385919430 => [
		[ '2011-12-11', '2011-12-11', 'Amstelkade 3 2, 1078AA Snellendam', 'left, but not known yet' ],
		[ '2011-11-30', '2011-12-12', 'Amstelkade 3 2, 1078AA Snellendam', 'left in December' ],
		[ '2011-12-01', '2011-12-12', 'land 5003', 'known' ] ],

	# Lg01_562 (no citizen service number), its only record:
	#   00000000    00000000      Colloseum 9
	8043206858 => [
		[ '0001-01-01', '0001-01-01', 'Colloseum 9, 1213NN', 'both days unknown: always valid, always known' ] ],

	# Lg01_639 (no citizen service number)
	#   00000000    00000000      Le Fèvre de Montignyln 5
	#   2009-09-06  2009-09-06    Le Fèvre de Montignyln 5, Rotterdam
	9727379623 => [
		[ '2009-09-06', '2009-09-05', 'Le Fèvre de Montignyln 5, 3055NL', 'without a town' ],
		[ '2009-09-06', '2009-09-06', 'Le Fèvre de Montignyln 5, 3055NL Rotterdam', 'with the town' ] ],

	# Lg01_779:  19531100  19531100  's-Gravenweg 138
	4025370282 => [
		[ '1953-11-01', '1953-10-31', undef, 'taken up some day in November 1953' ],
		[ '1953-11-01', '1953-11-01', "'s-Gravenweg 138, 2902LG", 'its first day is 1 November' ] ],

	# Lg01_780:  19660013  19660013  Scherpenisseweg 1
	7897595754 => [
		[ '1966-01-12', '2000-01-01', undef, 'the 13th of an unknown month' ],
		[ '1966-01-13', '1966-01-13', 'Scherpenisseweg 1, 4491PL', 'at the earliest that of January' ] ],

	# Lg01_389
	#   00000000    1994-09-30    1e Exloermond t/o de molen
	#   1998-01-01  1998-01-01    1e Exloërmond to 3
	3967096438 => [
		[ '1900-01-01', '1994-09-30', '1e Exloermond t/o de molen', 'a place since an unknown day' ],
		[ '1998-01-01', '1998-01-01', '1e Exloërmond to 3, 9573PA', 'the place makes way for a street' ] ],

	# Lg01_293, whose two oldest records have the day on which they were taken up as their date of
	# validity too, and so overtake the newest one:
	#   1994-11-29  1994-11-29    Eerste Anjeliersdwstr 35 (since 1965)
	#   1994-11-29  1994-11-29    Zonnebloemstraat 10 (since 1984)
	#   1992-01-05  1994-05-01    Zonegge 1
	1053531528 => [
		[ '1994-12-01', '1994-11-28', 'Zonegge 1, 6901KT', 'the only one known' ],
		[ '1994-11-28', '1994-11-29', 'Zonegge 1, 6901KT', 'the others are not valid yet' ],
		[ '1994-12-01', '1994-11-29', 'Zonnebloemstraat 10, 6841BH', 'valid last, and later in the log' ] ],

	# Lg01_594, whose oldest record in the list is the last but one by both dates:
	#   2011-11-13  2011-11-13    Leyweg 1485, 's-Gravenhage
	#   2009-12-30  2009-12-30    Smitsweg 1
	#   2011-02-05  2011-02-05    Smitsweg 1, Hellevoetsluis
	#   2017-12-01  2017-12-01    Thorbeckelaan 731, 's-Gravenhage
	2758571749 => [
		[ '2010-01-01', '2010-01-01', 'Smitsweg 1, 3222AG', 'the first by date' ],
		[ '2011-11-12', '2017-12-01', 'Smitsweg 1, 3222AG Hellevoetsluis', 'until the day before' ],
		[ '2013-01-01', '2013-01-01', "Leyweg 1485, 2548AE 's-Gravenhage", 'dates decide, not places in the list' ] ],

	# Lg01_625, whose older record was taken up after the newer one:
	#   2010-02-25  2011-10-04    Goudsesingel 72
	#   2011-06-01  2011-06-01    Goudsesingel 72, Rotterdam
	7980483745 => [
		[ '2010-06-01', '2011-10-03', undef, 'the past is not known yet' ],
		[ '2010-06-01', '2011-10-04', 'Goudsesingel 72, 3011KD', 'the past' ],
		[ '2011-07-01', '2011-10-04', 'Goudsesingel 72, 3011KD Rotterdam', 'what came in later is valid earlier' ] ],

	# Lg01_672
	#   1992-09-09  1994-03-10    Poolsestraat 36
	#   2011-02-05  2011-02-05    Poolsestraat 36, Rotterdam
	#   2021-08-01  2011-02-05    Maria Wesselingstraat 8, known ten years ahead
	7682743250 => [
		[ '2021-07-31', '2011-02-05', 'Poolsestraat 36, 3028EN Rotterdam', 'not moved yet' ],
		[ '2021-08-01', '2011-02-05', 'Maria Wesselingstraat 8, 3065GA Rotterdam', 'the move was known ahead' ],
		[ '2021-08-01', '2011-02-04', 'Poolsestraat 36, 3028EN', 'but not the day before' ] ],

	# Lg01_445
	#   1993-12-01  1994-03-10    De Vliegerstraat 55
	#   1997-05-01  1997-05-01    Schakelstraat 14, addition H
	#   1997-05-01  1997-05-01    Schakelstraat 14, addition H, Amsterdam
	2363230194 => [
		[ '1997-04-30', '1997-05-01', 'De Vliegerstraat 55, 3021ZN', 'the day before the move' ],
		[ '1997-05-01', '1997-05-01', 'Schakelstraat 14 H, 1014AW Amsterdam',
			'of two records of one day the newer in the list' ] ],

	# Lg01_882, with a row that is not a record below these:
	#   2014-01-28  2014-01-28    Buikslotermeerdijk 83
	#   2020-02-02  2020-02-05    country 5002
	9194371082 => [
		[ '2014-01-27', '2020-12-31', undef, 'nothing before the first record' ],
		[ '2020-02-03', '2020-02-04', 'Buikslotermeerdijk 83, 1025WH Amsterdam', 'left, but not known yet' ],
		[ '2020-02-03', '2020-02-05', '18 rue des Trois Bornes, 11e Arrondissement, 75011 Paris, land 5002', 'known' ] ],

	# Lg01_527; Lg01_579 has the same citizen service number
	#   ... 1908-08-01 Hilsestraat 19, 1920-02-19 Dorpsstraat 44 ..., taken up on 1994-09-30
	3864675131 => [
		[ '1915-06-01', '1994-09-29', undef, 'not yet taken up' ],
		[ '1915-06-01', '1994-09-30', 'Hilsestraat 19', 'no postcodes then' ] ],

	# Lg01_781, who moved 76 times, a house further each time (61 twice, on 1 and 2 June)
	6318602430 => [
		[ '2008-04-12', '2008-07-06', 'Parallelweg Z Rijkswg 50, 3224TB Hellevoetsluis', 'moved on 10 April' ],
		[ '2008-06-02', '2008-07-06', 'Parallelweg Z Rijkswg 61, 3224TB Hellevoetsluis', 'the second 61' ],
		[ '2020-01-01', '2008-07-05', 'Parallelweg Z Rijkswg 75, 3224TB Hellevoetsluis', 'the last move is not known yet' ],
		[ '2008-01-11', '2020-01-01', undef, 'before the first' ] ],

	# Lg01_631, its only record has a full stop for the street
	#   1974-07-07  1994-09-30    .
	8685430703 => [
		[ '1975-01-01', '1994-09-30', '.', 'what the file says' ] ]);

# Claims of the test's own for Lg01_926, who lives at Monsterseweg 216 since 2019-12-05: what no
# record of the file shows, because all are validated at once.
#   created 2024-02-05  a claim: Nieuweweg 5 from 2024-02-01
#           2024-02-12  its validation
#           2024-02-20  a correction that removes the claim
#           2024-03-01  the correction's validation
my $mover = '7947045242';
my $stays = "Monsterseweg 216, 2553RM 's-Gravenhage";
my @unvalidated_questions = (
	[ '2024-02-10', '2024-02-04', $stays, $stays, 'nothing claimed yet' ],
	[ '2024-02-10', '2024-02-05', $stays, 'Nieuweweg 5', 'claimed, without legal force' ],
	[ '2024-02-10', '2024-02-12', 'Nieuweweg 5', 'Nieuweweg 5', 'validated' ],
	[ '2024-01-31', '2024-02-12', $stays, $stays, 'but valid later' ],
	[ '2024-02-10', '2024-02-20', 'Nieuweweg 5', $stays, 'corrected, without legal force' ],
	[ '2024-02-10', '2024-03-01', $stays, $stays, 'the correction is validated' ]);

my @lists = F6::Brp::read_lists($path);
my $node = PostgreSQL::Test::Cluster->new('brp');
my $started;

# A day begins at midnight in Amsterdam, in every session: so do created_at and geldigVanaf.
delete $ENV{PGTZ};
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "timezone = 'Europe/Amsterdam'\nfsync = off");
$node->start;

$started = time;
prepare();
import_records();
note sprintf 'imported in %.1f s', time - $started;

ask_worked_out_questions();
check_totals();
check_links();
$started = time;
load_plain_file();
compare_with_plain_file();
note sprintf 'compared with the plain file in %.1f s', time - $started;
check_refusal();
ask_about_unvalidated_claims();
$started = time;
compare_with_model();
note sprintf 'compared with the model in %.1f s', time - $started;

$node->stop;
done_testing();

# Runs SQL as the server's superuser and returns what it prints.
sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Makes the importer, its zone, the event type and the functions by which the test asks.
sub prepare
{
	my $schema = F6::Brp::schema();

	query(qq{
		create extension f6;
		create role brp_importer login in role f6_importer, f6_reader;
		select f6_register_zone('RvIG', 'BRP');
		select f6_register_event_type('Verblijfplaats', '1', \$json\$$schema\$json\$, '/geldigVanaf');

		create function person(number text) returns uuid
			language sql immutable
			return f6_object_id('anummer', number);

		create function end_of(day date) returns timestamptz
			language sql stable
			return (day + 1)::timestamptz - interval '1 microsecond';

		create function residence_of(state jsonb) returns text
			language sql immutable
			return case when state is not null then concat_ws(', ',
				nullif(concat_ws(' ', state->>'straat', state->>'aanduiding',
					nullif(concat(state->>'huisnummer', state->>'huisletter'), ''),
					state->>'toevoeging'), ''),
				nullif(concat_ws(' ', state->>'postcode', state->>'woonplaats'), ''),
				state->>'locatie', state->>'regel1', state->>'regel2', state->>'regel3',
				'land ' || (state->>'land')) end;

		create function residence(number text, valid_on date, known_on date, legal boolean) returns text
			language sql stable
			return residence_of(f6_state_asof(person(number), valid_on::timestamptz, end_of(known_on), legal => legal));
	});
	return;
}

# Appends all records as events, in batches, as an importer who is no superuser.  What an
# append returns must be in the order of what it was given.
sub import_records
{
	my $file = "${PostgreSQL::Test::Utils::tmp_check}/brp_import.sql";
	my $json = JSON::PP->new->utf8->canonical;
	my %objects = map { split /\|/ } split /\n/, query(
		'select number, person(number) from unnest(array['
		. join(',', map { "'$_->{number}'" } @lists) . ']) number');
	my $appended = 0;

	$_->{object} = $objects{ $_->{number} } for @lists;
	my @events = F6::Brp::events(@lists);
	my $given = @events;

	open my $sql, '>:raw', $file or die "could not open \"$file\": $!";
	print $sql "set session authorization brp_importer;\nset f6.zone = 'RvIG/BRP';\nbegin;\n";
	while (my @batch = splice @events, 0, BATCH)
	{
		my $batch = $json->encode(\@batch);
		print $sql <<"SQL";
with batch as materialized (
    select \$json\$$batch\$json\$::jsonb as events
), appended as materialized (
    select a.* from batch, f6_append(batch.events) with ordinality as a (id, "position", created_at, number)
)
select count(*)
from appended
join (
    select e.* from batch, jsonb_array_elements(batch.events) with ordinality as e (event, number)
) given using (number)
where appended.id = (given.event->>'id')::uuid
  and appended.created_at = (given.event->>'created_at')::timestamptz;
SQL
	}
	print $sql "commit;\n";
	close $sql or die "could not write \"$file\": $!";

	$appended += $_ for split /\n/, query("\\i '$file'");
	is($appended, $given, 'each batch returns its events in the order given');
	return;
}

# Asks the questions of the table above, legally and as claimed.
sub ask_worked_out_questions
{
	my ($answered, @asked, @expected) = (0);

	while (my ($person, $questions) = splice @persons, 0, 2)
	{
		for my $question (@$questions)
		{
			my ($valid_on, $known_on, $answer, $why) = @$question;

			push @asked, sprintf q{(%d, '%s', date '%s', date '%s')}, scalar @asked, $person, $valid_on, $known_on;
			push @expected, [ $answer // '(nothing)', "$person on $valid_on as known on $known_on: $why" ];
		}
	}
	my $asked = join ",\n", @asked;
	my $answers = query(qq{
		select number, legal, coalesce(residence(person, valid_on, known_on, legal), '(nothing)')
		from (values $asked) q (number, person, valid_on, known_on)
		cross join (values (true), (false)) l (legal)
		order by number, legal desc});

	for (split /\n/, $answers)
	{
		my ($number, $legal, $answer) = split /\|/, $_, 3;
		my ($expected, $name) = @{ $expected[$number] };

		is($answer, $expected, ($legal eq 't' ? 'legally, ' : 'as claimed, ') . $name);
		$answered++;
	}
	is($answered, 2 * @asked, 'every question is answered, legally and as claimed');
	return;
}

# Compares the totals in the log with those of the file.  Lists are the rows with a first column;
# records and incorrect ones were counted by awk, as rows with a value in the columns of
# 08.86.10 and 08.84.10 (a row with more than 257 columns has a quoted semicolon before them):
# awk -F';' 'NR > 1 { n = NF - 257; taken += $(n + 183) != ""; wrong += $(n + 181) != "" }
#            END { print taken, wrong }'
sub check_totals
{
	my $persons = 0;
	my $kinds = query(q{
		select string_agg(format('%s %s', event_kind, number), ', ' order by event_kind)
		from (select event_kind, count(*) as number from f6.event group by event_kind) kinds});

	open my $file, '<:raw', $path or die "could not open \"$path\": $!";
	while (<$file>)
	{
		$persons++ if $. > 1 && /^[^;]/;
	}
	close $file or die "could not read \"$path\": $!";

	is($persons, 687, 'the file has 687 lists');
	is(query('select count(distinct object_id) from f6.event_object'), $persons, 'each list is one object');
	is($kinds, 'claim 1743, correction 31, validation ' . (1743 + 31), 'events of each kind');
	is(query(q{
		select count(*) from f6.event e
		join f6.zone z using (zone_id)
		where (z.organisation, z.name) = ('RvIG', 'BRP')
		  and e.appended_by = 'brp_importer' and e.event_version = '1'}),
		1743 + 31 + 1743 + 31, 'all belong to the zone and carry the importer\'s name');
	is(query(q{
		select count(*) from (
			select created_at < lag(created_at) over (order by "position") as back from f6.event) e
		where back}), 0, 'formal time never goes back');
	return;
}

# Checks that the link tables say what the log says, neither more nor less.
sub check_links
{
	for my $link (
		[ 'event_object', 'object_id', 'object_ids' ],
		[ 'event_link', 'reference_id', 'event_reference' ])
	{
		my ($table, $column, $array) = @$link;
		my $logged = qq{select unnest($array), "position" from f6.event};
		my $linked = qq{select $column, "position" from f6.$table};

		is(query("select count(*) from ($logged except all $linked) missing"), 0, "f6.$table lacks nothing");
		is(query("select count(*) from ($linked except all $logged) surplus"), 0, "f6.$table has nothing else");
	}
	is(query('select count(*) from f6.event_link'), 1743 + 31 + 31, 'each validation and correction links to one event');
	is(query(q{
		select count(*) from f6.event s join f6.event t on t.id = s.event_reference[1]
		where s.event_kind <> 'claim' and s.object_ids <> t.object_ids}),
		0, 'validations and corrections name the objects of their targets');
	return;
}

# Loads the file with COPY and makes of it one row a record, in SQL alone.
sub load_plain_file
{
	my (%seen, @columns);

	open my $file, '<:raw', $path or die "could not open \"$path\": $!";
	my $header = <$file>;
	close $file;
	chomp $header;
	$header =~ s/^\xEF\xBB\xBF/list/;
	@columns = map { my $name = $_ eq '' ? 'rest' : $_; $seen{$name}++ ? "$name again" : $name }
		split /;/, $header, -1;

	my $definitions = join ', ', map { qq{"$_" text} } @columns;
	my $names = join ', ', map { qq{"$_"} } @columns;
	my $fields = join ', ', map {
		my $value = qq{btrim(r."$F6::Brp::ELEMENTS{$_}")};
		$value .= '::integer' if $_ eq 'huisnummer';
		"'$_', $value"
	} sort keys %F6::Brp::ELEMENTS;

	query(qq{
		create table plain (line bigint generated always as identity (start with 2), $definitions);
		copy plain ($names) from '$path' (format csv, header, delimiter ';');

		create function day_of(date text) returns date
			language sql immutable
			return make_date(greatest(left(date, 4)::integer, 1),
				greatest(substr(date, 5, 2)::integer, 1),
				greatest(substr(rpad(date, 8, '0'), 7)::integer, 1));

		create table record as
		select person(n.number) as person, r.line, n.list,
			day_of(r."08.85.10") as valid, day_of(r."08.86.10") as taken_up,
			r."08.84.10" is not null as incorrect,
			lag(day_of(r."08.86.10")) over (partition by n.list order by r.line) as replaced,
			jsonb_strip_nulls(jsonb_build_object(
				'geldigVanaf', to_char(day_of(r."08.85.10"), 'YYYY-MM-DD'), $fields)) as state
		from (select *, count(list) over (order by line) as list_number from plain) r
		join (select list, "01.01.10" as number, count(list) over (order by line) as list_number
			from plain where list is not null) n using (list_number)
		where r."08.86.10" is not null;
		create index on record (person);
		analyze record;
	});
	return;
}

# Asks about every person on every day on which a record becomes valid and the day before the
# first, as known on every day on which one was taken up and the day before the first; compares
# the claims that count and the whole state with the plain file.
sub compare_with_plain_file
{
	is(query(q{select count(*), count(*) filter (where incorrect and replaced is not null),
			count(*) filter (where incorrect and replaced is null), count(distinct person) from record}),
		'1743|31|0|687', 'totals in the plain file');
	is(query(q{select count(*), min(list) from (
			select count(list) over (order by line) as list_number, * from plain) r
		where "08.72.10" is not null and "08.86.10" is null}), '1|', 'one row is no record');

	query(q{
		create table question as
		with valid_days as (
			select person, valid as valid_on from record
			union select person, min(valid) - 1 from record group by person
		), known_days as (
			select person, taken_up as known_on from record
			union select person, min(taken_up) - 1 from record group by person
		)
		select * from valid_days join known_days using (person);

		create table answer as
		select q.*, l.legal, counted.lines, told.lines as told_lines, top.state,
			f6_state_asof(q.person, q.valid_on::timestamptz, end_of(q.known_on), legal => l.legal) as told_state
		from question q
		cross join (values (true), (false)) l (legal)
		cross join lateral (
			select array_agg(r.line order by r.valid, r.taken_up, r.line desc) as lines
			from record r
			where r.person = q.person and r.taken_up <= q.known_on and r.valid <= q.valid_on
			  and not (r.incorrect and r.replaced <= q.known_on)) counted
		left join record top on top.line = counted.lines[cardinality(counted.lines)]
		cross join lateral (
			select array_agg((e.metadata->>'line')::bigint order by e.ordinality) as lines
			from f6_events(q.person, q.valid_on::timestamptz, end_of(q.known_on), l.legal) with ordinality e) told;
	});

	cmp_ok(query('select count(*) from answer'), '>', 20000, 'many questions are asked of the plain file');
	is(query(q{select count(*), min(person::text || valid_on || known_on || legal)
		from answer where lines is distinct from told_lines}), '0|', 'the claims that count, in their order');
	is(query(q{select count(*), min(person::text || valid_on || known_on || legal)
		from answer where state is distinct from told_state}), '0|', 'the states');
	return;
}

# Checks that the schema has force: a record with a postcode that is none is refused.
sub check_refusal
{
	my (undef, undef, $error) = $node->psql('postgres', q{
		\set VERBOSITY verbose
		select f6_append('Verblijfplaats', array[person('1340320875')],
			jsonb_set(event_data, '{postcode}', '"2564 CJ"'))
		from f6.event where event_kind = 'claim' limit 1});

	like($error, qr/ERROR:  23514:.*postcode.*pattern/s, 'a residence with a wrong postcode is refused');
	return;
}

# Appends what the file does not have, claims and corrections that wait for their validation.
sub ask_about_unvalidated_claims
{
	$node->safe_psql('postgres', qq{
		set session authorization brp_importer;
		set f6.zone = 'RvIG/BRP';
		create temporary table appended as
		select * from f6_append('Verblijfplaats', array[person('$mover')],
			(select jsonb_object_agg(key, null) from f6.event, jsonb_object_keys(event_data) key
				where f6.event.id = '00000001-0000-8000-8000-000000000002')
				|| '{"straat": "Nieuweweg", "huisnummer": 5, "gemeenteVanInschrijving": "0518",
				     "datumIngang": "20240201", "geldigVanaf": "2024-02-01"}',
			created_at => '2024-02-05');
		insert into appended
		select * from f6_append('Verblijfplaats', null, null, event_kind => 'validation',
			event_reference => (select array[id] from appended), created_at => '2024-02-12');
		insert into appended
		select * from f6_append('Verblijfplaats', null, 'null', event_kind => 'correction',
			event_reference => (select array[id] from appended order by "position" limit 1),
			created_at => '2024-02-20');
		select f6_append('Verblijfplaats', null, null, event_kind => 'validation',
			event_reference => (select array[id] from appended order by "position" desc limit 1),
			created_at => '2024-03-01');
	});

	for (@unvalidated_questions)
	{
		my ($valid_on, $known_on, $legally, $as_claimed, $why) = @$_;
		my $asked = "residence('$mover', '$valid_on', '$known_on', legal)";

		is(query("select string_agg($asked, E'\\n' order by legal desc) from (values (true), (false)) l (legal)"),
			"$legally\n$as_claimed", "legally and as claimed, $valid_on as known on $known_on: $why");
	}
	return;
}

# Asks f6 and the model, which reads the log as it is stored, every kind of question about every person, at random times at
# which something is recorded or begins to be true.
sub compare_with_model
{
	my @waiting = leave_undecided();
	my $model = read_model();
	my @days = map { $_->{time} } map { @{ $model->timeline($_->{object}, F6::Model::INFINITY, 0) } } @lists;
	my @recorded = map { $_->{created_at} } $model->all_events;
	my $valid_at = sub { rand() < 0.2 ? F6::Model::INFINITY : $days[ rand @days ] - int rand 2 };
	my $known_at = sub { rand() < 0.2 ? F6::Model::INFINITY : $recorded[ rand @recorded ] - int rand 2 };
	my $legal = sub { int rand 2 };
	my $seed = $ENV{F6_SEED} || 20240101;
	my $view = $model->new_view([ $model->all_events ], 0);
	my @standing = grep { !$model->removed($view, $_) } $model->all_events;
	my $event = sub { $standing[ rand @standing ]{id} };
	my @persons = map { $_->{object} } @lists;

	srand $seed;
	note "F6_SEED=$seed";
	my $field = sub {
		my ($path, $valid, $known, $legally) = (qw(/straat /postcode)[ rand 2 ], $valid_at->(), $known_at->(), $legal->());
		my $state = $model->state_at($persons[ rand @persons ], $valid, $known, $legally);
		return ($path, $state && $model->at_pointer($$state, $path) || 'Nergens', $valid, $known, $legally, \@persons);
	};
	my %questions = (
		f6_history => [ map { [ $_, $known_at->(), $legal->() ] } @persons ],
		f6_formal_history => [ map { [ $_, $valid_at->(), $legal->() ] } @persons ],
		f6_bitemporal => [ map { my $person = $_; map { [ $person, $_ ] } 0, 1 } @persons ],
		f6_changes => [ map { [ $_, (sort { $a <=> $b } $known_at->(), $known_at->()), $legal->() ] } @persons ],
		f6_explain => [ map { [ $_, $valid_at->(), $known_at->(), $legal->() ] } @persons ],
		f6_states_asof => [ map { [ \@persons, $valid_at->(), $known_at->(), $legal->() ] } 1 .. 20 ],
		f6_find => [ map { [ $field->() ] } 1 .. 100 ],
		f6_consequences => [ map { [ $event->(), F6::Model::INFINITY ] } 1 .. 100 ],
		f6_pending => [ map { [$_] } @waiting, map { $_->{object} } grep { $_->{number} eq $mover } @lists ],
		f6_retract => [ map { [ $event->(), qw(none all)[ rand 2 ], $legal->() ] } 1 .. 50 ]);

	query("select f6_keep_field(path, legal => legal)
		from unnest(array['/straat', '/postcode']) as path, unnest(array[true, false]) as legal");
	for my $kind (kinds_of_questions())
	{
		my @compared = compare($kind, $model, \&ask, @{ $questions{$kind} });
		my @differ = grep { !$_->{is_same} } @compared;

		cmp_ok(scalar(grep { @{ $_->{ours} } } @compared), '>', 0, "$kind: there are answers");
		is(scalar @differ, 0, "$kind: f6 and the model agree on all of " . @compared . ' questions')
			or diag explain $differ[0];
	}
	return;
}

# Appends again what thirty persons said last, validates that of twenty, and withdraws the validations of ten.  Returns who they are.
sub leave_undecided
{
	query(q{
		create table waiting as
		select row_number() over (order by object_id) as number, object_id, max("position") as "position", null::uuid as id
		from f6.event_object join f6.event using ("position")
		where event_kind = 'claim'
		group by object_id
		order by object_id
		limit 30;
		update waiting w set id = (select (f6_append(e.event_type, e.object_ids, e.event_data)).id
			from f6.event e where e."position" = w."position");
		select (f6_retract((f6_validate_claim(id)).id, 'not by an official')).object_id from waiting where number <= 10;
		select f6_validate_claim(id) from waiting where number > 20});
	return ask('select object_id from waiting');
}

# Returns a model of the log as it is stored.
sub read_model
{
	my $json = JSON::PP->new;
	my %times = map { split /\|/ } ask('
		select ' . microseconds("day::timestamp at time zone 'UTC'") . " || '|' || " . microseconds('day::timestamptz') . q{
		from (select distinct event_data ->> 'geldigVanaf' as day from f6.event) as days
		where day is not null});
	my $model = F6::Model->new(
		types => { 'Verblijfplaats 1' => { valid_from => '/geldigVanaf' } },
		local_time => sub { $times{ $_[0] } });

	for (ask('
		select jsonb_build_array("position", id, ' . microseconds('created_at') . '::text, ' . microseconds('occurred_at') . q{::text,
			object_ids, event_kind, event_reference, event_type || ' ' || event_version, event_data)
		from f6.event order by "position"}))
	{
		my %event;
		@event{qw(position id created_at occurred_at objects kind references type data)} = @{ $json->decode($_) };
		$event{data}{huisnummer} = F6::Model::number($event{data}{huisnummer}) if $event{data} && $event{data}{huisnummer};
		$model->add(\%event);
	}
	return $model;
}

# Returns the lines that SQL prints, decoded.
sub ask
{
	my ($sql) = @_;

	return split /\n/, decode_utf8(query($sql));
}
