-- For ardour7-lua: both plug-ins in a track of a new session, which is saved and loaded again. Prints what must be:
-- Ardour counts on the latencies, and the session keeps the controls. MIMI_SESSION: the folder for it.

local folder = os.getenv("MIMI_SESSION")
local uri = "https://github.com/libmimi/libmimi/plugin"
local backend = AudioEngine:set_backend("None (Dummy)", "", "")
backend:set_sample_rate(48000)
backend:set_buffer_size(64)

local session = create_session(folder, "session", 48000)
local track = session:new_audio_track(1, 1, nil, 1, "voice", ARDOUR.PresentationInfo.max_order,
	ARDOUR.TrackMode.Normal, true):front()
for codebooks, name in ipairs({ uri, uri .. "#worker" }) do
	local plugin = ARDOUR.LuaAPI.new_plugin(session, name, ARDOUR.PluginType.LV2, "")
	assert(not plugin:isnil() and track:add_processor_by_index(plugin, -1, nil, true) == 0)
	assert(ARDOUR.LuaAPI.set_processor_param(plugin, 0, codebooks))
end
ARDOUR.LuaAPI.usleep(1000000)
session:save_state("")
close_session()

session = load_session(folder, "session")
track = session:route_by_name("voice")
ARDOUR.LuaAPI.usleep(1000000)
for i = 0, 1 do
	local plugin = track:nth_plugin(i)
	print("plug-in", i, plugin:signal_latency(), (ARDOUR.LuaAPI.get_processor_param(plugin, 0, true)))
end
print("track", track:signal_latency(), session:worst_route_latency())
close_session()
quit()
