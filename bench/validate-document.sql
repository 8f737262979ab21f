-- An expression over one document, again and again: its bytes are read from the table once.
with document as materialized (select data #> '{}' as data from bench.document where name = ':document')
select count(*) filter (where :expression) from document cross join generate_series(1, :times);
