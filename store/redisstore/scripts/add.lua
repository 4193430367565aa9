-- Adds an entry that belongs to no change. Returns 1, or entry.late if another entry
-- was added meanwhile.
if entry.late then
  return entry.late
end
entry.add()
return 1
