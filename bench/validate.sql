-- An expression over the rows of a table.
select count(*) filter (where :expression) from bench.:rows;
