-- Push to talk: hold the space bar, and hear yourself a second later, through the codec.
-- model.safetensors lies beside this file. The network is a table of packets that wait for a second.
local ffi = require "ffi"
local mimi = require "mimi"

local RATE, BLOCK, BOOKS, DELAY = 24000, 480, 8, 1 -- blocks of 20 ms
local model, bits, capture, playback, microphone, source
local samples, codes, bytes = mimi.floats(BLOCK), mimi.codes(BOOKS), ffi.new("uint8_t[32]")
local out = love.sound.newSoundData(BLOCK, RATE, 16, 1)
local network, talking = {}, false

local function check(status)
    if status < 0 then error(mimi.status(status), 2) end
end

function love.load()
    local checkpoint = assert(love.filesystem.read("model.safetensors"))
    model = mimi.load_memory(checkpoint)
    bits = model:get("code_bits")
    capture = model:capture { codebooks = BOOKS, sample_rate = RATE }
    playback = model:playback { codebooks = BOOKS, sample_rate = RATE, buffer_frames = 2 }
    source = love.audio.newQueueableSource(RATE, 16, 1, 8)
    microphone = love.audio.getRecordingDevices()[1]
end

-- Codes that are ready become packets.
local function send()
    while true do
        local status, n = capture:read(codes, BOOKS)
        check(status)
        if n == 0 then return end
        local _, len = mimi.pack(codes, n, BOOKS, bits, bytes, 32)
        network[#network + 1] = { at = love.timer.getTime() + DELAY, bytes = ffi.string(bytes, len) }
    end
end

local function hear_microphone()
    local data = microphone:getData()
    if not data then return end
    local pcm = ffi.cast("const int16_t *", data:getFFIPointer())
    for at = 0, data:getSampleCount() - 1, BLOCK do
        local n = math.min(BLOCK, data:getSampleCount() - at)
        for i = 0, n - 1 do samples[i] = pcm[at + i] / 32768 end
        check(capture:write(samples, n))
        send()
    end
end

-- The last frames come out when as much silence went in as the capture is late.
local function finish()
    ffi.fill(samples, ffi.sizeof(samples))
    local left = capture:get("latency_samples")
    while left > 0 do
        check(capture:write(samples, math.min(left, BLOCK)))
        left = left - BLOCK
        send()
    end
end

function love.update()
    local pressed = microphone and love.keyboard.isDown("space") or false
    if pressed and not talking then
        check(capture:reset())
        assert(microphone:start(RATE, RATE, 16, 1), "the microphone does not start")
    end
    if talking then hear_microphone() end
    if talking and not pressed then
        microphone:stop()
        finish()
    end
    talking = pressed

    while network[1] and network[1].at <= love.timer.getTime() do
        local packet = table.remove(network, 1).bytes
        local status, n = mimi.unpack(packet, #packet, BOOKS, bits, codes, BOOKS)
        check(status)
        playback:write(codes, n) -- one for which there is no room is counted: playback:get("dropped")
    end

    while source:getFreeBufferCount() > 0 do
        check(playback:read(samples, BLOCK))
        local pcm = ffi.cast("int16_t *", out:getFFIPointer())
        for i = 0, BLOCK - 1 do pcm[i] = math.max(-32768, math.min(32767, samples[i] * 32768)) end
        source:queue(out)
    end
    if not source:isPlaying() then source:play() end
end

function love.draw()
    local text = not microphone and "There is no microphone." or talking and "talking" or "Hold the space bar and talk."
    love.graphics.print(text, 20, 20)
end
