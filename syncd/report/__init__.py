"""Reports: pure functions from a plan or a run to text. They decide nothing and hide nothing."""
