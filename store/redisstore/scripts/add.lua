-- Adds an entry that belongs to no change. Returns 1, or where the chain ends.
if entry.late then
  return refusal() or entry.late
end
entry.add()
return 1
